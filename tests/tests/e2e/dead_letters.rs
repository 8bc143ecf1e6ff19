//! Dead letters from outside the application: by its routes while it runs, and by its job while it does not.

use expect_test::{Expect, expect};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    application::{Application, Start, eventually},
    folder::Folder,
    http::{self, Answer},
    servers::trial,
};

const ROUTES: &str = "/__underlay/dead-letters";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("dead_letters::by_the_routes", &[], by_the_routes),
        trial("dead_letters::no_web_pages", &[], no_web_pages),
        trial("dead_letters::by_the_job", &[], by_the_job),
        trial("dead_letters::wrong_words", &[], wrong_words),
        trial(
            "dead_letters::the_job_in_an_environment",
            &[],
            the_job_in_an_environment,
        ),
        trial("dead_letters::the_address", &[], the_address),
    ]
}

fn letters(folder: &Folder) -> Start<'_> {
    Start::new(folder, env!("CARGO_BIN_EXE_letters").as_ref())
}

/// The one document that the job writes.
#[track_caller]
fn job(start: Start<'_>, words: &str) -> Value {
    let ended = start
        .with("UNDERLAY_TASK", format!("dead-letters {words}"))
        .with("RUST_LOG", "error")
        .spawn()
        .ended();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.output);
    serde_json::from_str(&ended.output).unwrap_or_else(|error| panic!("{error}: {}", ended.output))
}

/// Places an order that is given up, and waits until it is. The message's id.
fn give_up(application: &Application<'_>, number: i64) -> String {
    let order = json!({ "customer": format!("customer {number}"), "number": number });
    let id = application.post("/orders", order).expect(200).json();
    let id = id.as_str().unwrap().to_owned();
    eventually("the order is given up", || {
        let answer = application.get(&format!("{ROUTES}/orders/billing/{id}"));
        (answer.status == 200).then_some(())
    });
    id
}

fn ids(list: &Value) -> Vec<&str> {
    let letters = list["dead_letters"].as_array().unwrap().iter();
    letters.map(|it| it["id"].as_str().unwrap()).collect()
}

/// The numbers of the orders that were billed, once there are so many.
fn billed(application: &Application<'_>, count: usize) -> Value {
    let path = format!("/billed/{count}");
    application.get(&path).expect(200).json()
}

fn by_the_routes() {
    let folder = Folder::new();
    let application = letters(&folder).serve();
    let get = |path: &str| application.get(&format!("{ROUTES}{path}"));
    let call = |method: &str, path: &str| -> Answer {
        http::call(
            application.address(),
            method,
            &format!("{ROUTES}{path}"),
            None,
        )
    };
    let count = || {
        let counts = get("").expect(200).json();
        assert_eq!(counts["counted_up_to"], json!(1000));
        let subscriptions = counts["subscriptions"].as_array().unwrap().iter();
        let one = |it: &Value| {
            let name = format!(
                "{}/{}",
                it["topic"].as_str().unwrap(),
                it["subscription"].as_str().unwrap()
            );
            (name, it["dead_letters"].as_u64().unwrap())
        };
        subscriptions.map(one).collect::<Vec<_>>()
    };
    let expected = |billing| {
        vec![
            ("orders/billing".to_owned(), billing),
            ("orders/mail".to_owned(), 0),
        ]
    };
    assert_eq!(count(), expected(0));
    let given_up: Vec<String> = (1..=5)
        .map(|number| give_up(&application, number))
        .collect();
    assert_eq!(count(), expected(5));

    let list = get("/orders/billing?limit=2").expect(200).json();
    assert_eq!(ids(&list), given_up[..2]);
    assert_eq!(list["more"], json!(true));
    let list = get("/orders/billing").expect(200).json();
    assert_eq!(ids(&list), given_up);
    assert_eq!(list["more"], json!(false));
    let shown = get(&format!("/orders/billing/{}", given_up[2])).expect(200);
    let mut shown = shown.json()["dead_letter"].take();
    let failed_at = shown["failed_at"].take();
    assert!(failed_at.as_str().unwrap().ends_with('Z'), "{failed_at}");
    assert_eq!(
        shown,
        json!({
            "id": given_up[2],
            "attempts": 1,
            "failed_at": null,
            "reason": "the message can never be handled: no account for customer 3",
            "ordering_key": null,
            "attributes": { "customer": "customer 3" },
            "message": { "customer": "customer 3", "number": 3 },
        })
    );

    // Released too early, it is given up again.
    let again = format!("/orders/billing/{}/release", given_up[0]);
    let released = json!({ "topic": "orders", "subscription": "billing", "released": 1 });
    assert_eq!(call("POST", &again).expect(200).json(), released);
    eventually("it is given up again", || {
        (count() == expected(5)).then_some(())
    });
    application.post("/mended", Value::Null).expect(200);
    assert_eq!(call("POST", &again).expect(200).json(), released);
    assert_eq!(billed(&application, 1), json!([1]));
    let gone = format!("/orders/billing/{}", given_up[1]);
    let discarded = json!({ "topic": "orders", "subscription": "billing", "discarded": 1 });
    assert_eq!(call("DELETE", &gone).expect(200).json(), discarded);
    assert_eq!(count(), expected(3));
    let all = call("POST", "/orders/billing/release").expect(200).json();
    assert_eq!(all["released"], json!(3));
    billed(&application, 4);
    assert_eq!(count(), expected(0));
    let all = call("DELETE", "/orders/billing").expect(200).json();
    assert_eq!(all["discarded"], json!(0));

    let check = |answer: Answer, status: u16, expected: Expect| {
        expected.assert_eq(answer.expect(status).json()["error"].as_str().unwrap());
    };
    check(
        get("/orders/biling"),
        404,
        expect!["no subscription `orders/biling` is declared; did you mean `orders/billing`?"],
    );
    check(
        call("POST", "/orders/billing/nonsense/release"),
        404,
        expect!["there is no dead letter `nonsense` of `orders/billing`"],
    );
    let error = call("DELETE", &gone).expect(404).json();
    let text = format!(
        "there is no dead letter `{}` of `orders/billing`",
        given_up[1]
    );
    assert_eq!(error["error"], json!(text));
    check(
        get("/orders/billing?limit=0"),
        400,
        expect!["the limit is 0, and must be from 1 to 10000"],
    );
    assert_eq!(get("/orders/billing?limit=x").status, 400);
    application.stop();
}

/// A page that a browser of this machine shows can send requests, and must not do anything by them.
fn no_web_pages() {
    let folder = Folder::new();
    let application = letters(&folder).serve();
    let id = give_up(&application, 1);
    let own = format!("http://{}", application.address());
    let status = |method: &str, path: &str, headers: &[(&str, &str)]| {
        http::call_with(application.address(), method, path, headers).status
    };
    let release = format!("{ROUTES}/orders/billing/{id}/release");
    for headers in [
        [("origin", "https://page.example")],
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
    ] {
        assert_eq!(status("POST", &release, &headers), 403, "{headers:?}");
        assert_eq!(
            status("DELETE", &format!("{ROUTES}/orders/billing"), &headers),
            403
        );
        assert_eq!(status("GET", ROUTES, &headers), 403);
        assert_eq!(status("POST", "/__underlay/cron/any", &headers), 403);
        // Nobody keeps pages from what the application itself serves.
        assert_eq!(status("GET", "/billed/0", &headers), 200);
    }
    let rebound = [("host", "page.example"), ("sec-fetch-site", "same-origin")];
    assert_eq!(status("POST", &release, &rebound), 403);
    application
        .get(&format!("{ROUTES}/orders/billing/{id}"))
        .expect(200);
    assert_eq!(status("POST", &release, &[("origin", &own)]), 200);
    application.stop();
}

fn by_the_job() {
    let folder = Folder::new();
    let application = letters(&folder).serve();
    let given_up: Vec<String> = (1..=4)
        .map(|number| give_up(&application, number))
        .collect();
    // Its messages are its own while it runs.
    let refused = letters(&folder).with("UNDERLAY_TASK", "dead-letters list");
    expect!["open the broker's file: another process has it open; stop that one, or use another namespace (memory `<checkout>/.underlay/default/topics-underlay-tests.redb`)"].assert_eq(&refused.refusal());
    application.stop();

    let job = |words: &str| job(letters(&folder), words);
    let counts = job("list");
    assert_eq!(
        counts,
        json!({
            "subscriptions": [
                { "topic": "orders", "subscription": "billing", "dead_letters": 4 },
                { "topic": "orders", "subscription": "mail", "dead_letters": 0 },
            ],
            "counted_up_to": 1000,
        })
    );
    let list = job("list orders/billing --limit 3");
    assert_eq!(
        (ids(&list), &list["more"]),
        (
            given_up[..3].iter().map(String::as_str).collect(),
            &json!(true)
        )
    );
    let shown = job(&format!("show orders/billing {}", given_up[3]));
    assert_eq!(
        shown["dead_letter"]["message"],
        json!({ "customer": "customer 4", "number": 4 })
    );
    assert_eq!(
        shown["dead_letter"],
        job("list orders/billing")["dead_letters"][3]
    );
    let one = job(&format!("discard orders/billing {}", given_up[0]));
    assert_eq!(one["discarded"], json!(1));
    let one = job(&format!("release orders/billing {}", given_up[1]));
    assert_eq!(one["released"], json!(1));
    assert_eq!(ids(&job("list orders/billing")), given_up[2..]);

    // What was released is delivered by the next start, and to that subscription only.
    let application = letters(&folder).serve();
    eventually("it is given up again", || {
        let list = application.get(&format!("{ROUTES}/orders/billing")).json();
        (ids(&list).len() == 3).then_some(())
    });
    application.stop();
    assert_eq!(job("discard orders/billing --all")["discarded"], json!(3));
    assert_eq!(job("release orders/billing --all")["released"], json!(0));
    assert_eq!(ids(&job("list orders/billing")), [""; 0]);

    let unknown = letters(&folder)
        .with("UNDERLAY_TASK", "dead-letters show orders/billing nonsense")
        .spawn()
        .ended();
    assert_eq!(unknown.status.code(), Some(1), "{}", unknown.output);
    assert!(
        unknown
            .output
            .contains("error: there is no dead letter `nonsense` of `orders/billing`"),
        "{}",
        unknown.output
    );
}

fn wrong_words() {
    let folder = Folder::new();
    let check = |words: &str, expected: Expect| {
        let error = letters(&folder).with("UNDERLAY_TASK", words).refusal();
        expected.assert_eq(&error);
    };
    check(
        "dead-letters lst",
        expect![
            "UNDERLAY_TASK is `dead-letters lst`: there is no `lst`; after `dead-letters` stands `list [<topic>/<subscription>] [--limit <number>]`, `show <topic>/<subscription> <id>`, `release <topic>/<subscription> <id>|--all` or `discard <topic>/<subscription> <id>|--all`"
        ],
    );
    check(
        "dead-letters release orders/billing",
        expect![
            "UNDERLAY_TASK is `dead-letters release orders/billing`: `release` needs the id of a letter, or `--all`; after `dead-letters` stands `list [<topic>/<subscription>] [--limit <number>]`, `show <topic>/<subscription> <id>`, `release <topic>/<subscription> <id>|--all` or `discard <topic>/<subscription> <id>|--all`"
        ],
    );
    check(
        "dead-leters list",
        expect![
            "UNDERLAY_TASK is `dead-leters list`; there are `migrate`, `seed` and `dead-letters`, and without it the application starts"
        ],
    );
}

/// A configured job looks at nothing but the brokers.
fn the_job_in_an_environment() {
    let folder = Folder::new();
    let application = letters(&folder).serve();
    let id = give_up(&application, 1);
    application.stop();
    let infra = |path: Option<&str>| {
        let mut broker =
            json!({ "type": "memory", "topics": { "orders": { "subscriptions": {} } } });
        if let Some(path) = path {
            broker["path"] = json!(folder.path(path));
        }
        json!({ "pubsub": [broker] }).to_string()
    };
    let there = infra(Some(".underlay/default/topics-underlay-tests.redb"));
    let start = || letters(&folder).with("UNDERLAY_INFRA", &there);
    assert_eq!(ids(&job(start(), "list orders/billing")), [&*id]);
    let refused = letters(&folder)
        .with("UNDERLAY_INFRA", infra(None))
        .with("UNDERLAY_TASK", "dead-letters list");
    expect!["infra config: pubsub[0]: a broker of the type `memory` without a `path` is in the application's own process, where no job sees its dead letters; give it a `path`"].assert_eq(&refused.refusal());
}

/// What tells the command line where a running application is.
fn the_address() {
    let folder = Folder::new();
    let path = folder.path(".underlay/default/topics-underlay-tests.redb.address");
    let application = letters(&folder).serve();
    let said = |path| std::fs::read_to_string(path).unwrap();
    assert_eq!(said(&path), format!("{}\n", application.address()));
    application.kill();
    assert!(path.exists());
    let application = letters(&folder).serve();
    assert_eq!(said(&path), format!("{}\n", application.address()));
    application.stop();
    assert!(!path.exists());
}
