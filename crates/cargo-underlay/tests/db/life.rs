//! The life of a local database: migrated, read, written, taken back, seeded, reset.

use std::process::Command;

use serde_json::json;

use crate::{
    program::Outcome,
    project::{Project, SHOP},
};

pub(crate) fn from_a_fresh_checkout_to_data() {
    let project = Project::new("life", &SHOP);
    let proxy = project.proxy(&[]);
    assert!(
        proxy.uri.starts_with("postgresql://") && proxy.uri.contains("@127.0.0.1:"),
        "{}",
        proxy.uri
    );
    let states = || {
        let status = project.db(&["status", "--json"]).json(0);
        let entries = status[0]["migrations"].as_array().unwrap().clone();
        let state = |it: &serde_json::Value| it["state"].as_str().unwrap().to_owned();
        entries.iter().map(state).collect::<Vec<_>>()
    };
    assert_eq!(states(), ["pending", "pending"]);
    assert_eq!(project.db(&["status", "--check"]).code, Some(1));
    assert_eq!(
        project.done(&["migrate"]),
        "orders: applied 1_orders.up.sql\norders: applied 2_note.up.sql\n"
    );
    assert_eq!(
        project.done(&["migrate", "orders"]),
        "orders: nothing to apply\n"
    );
    assert_eq!(states(), ["applied", "applied"]);
    let table = project.done(&["status", "--check"]);
    assert!(
        table.starts_with(
            "DATABASE  NUMBER  DESCRIPTION  STATE    AT\norders    1       orders       applied  20"
        ),
        "{table}"
    );
    project.ask(&["--write"], "INSERT INTO orders VALUES (1, 'a')");
    // What the proxy leads to, and what the URIs name, is the same database.
    let uris = [&["uri"][..], &["uri", "--migrator"], &["uri", "--admin"]];
    let uris = uris.map(|it| project.done(it).trim().to_owned());
    for uri in uris.iter().chain([&proxy.uri]) {
        let mut psql = Command::new("psql");
        psql.args(["-XAt", uri, "-c", "SELECT note FROM orders"]);
        let outcome = Outcome::of(psql);
        assert_eq!(outcome.stdout, "a\n", "{uri}: {}", outcome.stderr);
    }

    let missing = project.refused(1, &["rollback"]);
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert!(
        missing[0].ends_with(
            "migration file `2_note.up.sql` has no `2_note.down.sql` beside it, so it cannot be taken back"
        ),
        "{missing:?}"
    );
    project.write(
        "migrations/2_note.down.sql",
        "ALTER TABLE orders DROP note;\n",
    );
    assert_eq!(project.done(&["rollback"]), "orders: ran 2_note.down.sql\n");
    assert_eq!(states(), ["applied", "pending"]);
    assert_eq!(
        project.done(&["rollback", "--steps", "5"]),
        "orders: ran 1_orders.down.sql\n"
    );
    assert_eq!(
        project.done(&["rollback"]),
        "orders: nothing to take back\n"
    );

    // A database that another tool has made.
    project.ask(&["--admin"], "CREATE TABLE orders (id bigint PRIMARY KEY)");
    let unknown = project.refused(2, &["baseline", "--at", "7"]);
    assert_eq!(
        unknown,
        ["the database `orders` has no migration 7; it has 1, 2"]
    );
    assert_eq!(
        project.done(&["baseline", "--at", "1"]),
        "orders: recorded 1_orders.up.sql\n"
    );
    assert_eq!(states(), ["applied", "pending"]);

    let unasked = project.refused(2, &["reset"]);
    assert!(unasked[0].ends_with("to agree, add --yes"), "{unasked:?}");
    assert_eq!(
        project.done(&["reset", "--yes"]),
        "orders: applied 1_orders.up.sql\norders: applied 2_note.up.sql\n"
    );
    assert_eq!(project.ask(&[], "SELECT count(*) FROM orders"), "0");
}

pub(crate) fn a_shell_only_reads() {
    let project = Project::new("shell", &SHOP);
    let _proxy = project.proxy(&[]);
    project.done(&["migrate"]);
    let insert = ["--", "-Xc", "INSERT INTO orders VALUES (1)"];
    let refused = project.db(&[&["shell"], &insert[..]].concat());
    assert_eq!(refused.code, Some(1));
    assert!(
        refused
            .stderr
            .contains("cannot execute INSERT in a read-only transaction"),
        "{}",
        refused.stderr
    );
    project.done(&[&["shell", "--write"], &insert[..]].concat());
    // The service's role may use what there is, and not change it.
    let create = ["shell", "--write", "--", "-Xc", "CREATE TABLE more ()"];
    assert_eq!(project.db(&create).code, Some(1));
    project.done(&["shell", "--admin", "--", "-Xc", "CREATE TABLE more ()"]);
    // What else stands in the environment leads nowhere else.
    let mut stray = project.command(&["db", "shell", "--", "-XAtc", "SELECT count(*) FROM orders"]);
    stray
        .env("PGHOSTADDR", "192.0.2.1")
        .env("PGSERVICE", "nowhere")
        .env("PGOPTIONS", "-c search_path=nowhere,public");
    let outcome = Outcome::of(stray);
    assert_eq!(outcome.stdout, "1\n", "{}", outcome.stderr);
    assert_eq!(
        project.refused(2, &["shell"]),
        ["`db shell` has no result of its own to write as JSON; leave `--json` away"]
    );
}

pub(crate) fn seeds() {
    let project = Project::new("seeds", &SHOP);
    let _proxy = project.proxy(&[]);
    project.write(
        "migrations/seed.sql",
        "INSERT INTO orders VALUES (1);\nINSERT INTO orders VALUES (2), (1);\n",
    );
    let failed = project.refused(1, &["seed"]);
    assert!(
        failed[0].contains(
            "migrations/seed.sql failed, and nothing of it was kept: duplicate key value"
        ),
        "{failed:?}"
    );
    assert_eq!(project.ask(&[], "SELECT count(*) FROM orders"), "0");
    project.write(
        "migrations/seed.sql",
        "INSERT INTO orders VALUES (1), (2);\n",
    );
    assert_eq!(project.done(&["seed"]), "orders: ran seed.sql\n");
    assert_eq!(project.ask(&[], "SELECT count(*) FROM orders"), "2");

    // Without the file, it is the application's own business.
    project.remove("migrations/seed.sql");
    project.write(
        "src/main.rs",
        "#[cfg(any())]\nmod declared { #[database(\"orders\", migrations = \"migrations\")] static ORDERS: Database; }\n\
         fn main() {\n    print!(\"{}\", std::env::var(\"UNDERLAY_TASK\").unwrap());\n    std::process::exit(3)\n}\n",
    );
    let seeded = project.db(&["seed"]);
    assert_eq!(
        (seeded.code, seeded.stdout.as_str()),
        (Some(3), "seed"),
        "{}",
        seeded.stderr
    );
}

pub(crate) fn what_does_not_agree() {
    let project = Project::new("disagreement", &SHOP);
    let _proxy = project.proxy(&[]);
    project.done(&["migrate"]);
    project.write("migrations/1_orders.up.sql", "CREATE TABLE orders ();\n");
    let found = project.refused(1, &["migrate"]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("database `orders` on /"), "{found:?}");
    assert!(
        found[0].contains("migration file `1_orders.up.sql` was edited after it was applied"),
        "{found:?}"
    );
    let status = project.db(&["status", "--check", "--json"]).json(1);
    assert_eq!(status[0]["migrations"][0]["state"], json!("edited"));
    assert_eq!(
        status[0]["problems"].as_array().unwrap().len(),
        1,
        "{status:#}"
    );
    project.write("migrations/3.up.sql", "");
    let found = project.refused(1, &["migrate"]);
    assert!(
        found[0].contains("migration file `3.up.sql` has no description"),
        "{found:?}"
    );
}

pub(crate) fn the_server_of_the_tests() {
    let project = Project::new("tests-server", &SHOP);
    let _proxy = project.proxy(&["--test"]);
    project.done(&["migrate", "--test"]);
    project.ask(&["--test", "--write"], "INSERT INTO orders VALUES (1)");
    let ask = || {
        project.ask(
            &["--test"],
            "SELECT current_database(), count(*) FROM orders",
        )
    };
    assert_eq!(ask(), "orders-test|1");
    project.done(&["reset", "--test", "--yes"]);
    assert_eq!(ask(), "orders-test|0");
    // The other server knows nothing of it.
    assert_eq!(project.db(&["status", "--check"]).code, Some(1));
}

/// The databases are there for the compiler, with their migrations, before anything compiles.
pub(crate) fn code_that_does_not_compile() {
    let project = Project::new("exec", &SHOP);
    let script = "echo $DATABASE_URL; echo $ORDERS_DATABASE_URL; psql -XAtc 'SELECT count(note) FROM orders'; \
                  test -s $UNDERLAY_INFRA && exit 4";
    let outcome = Outcome::of(project.command(&["exec", "--", "sh", "-c", script]));
    let lines: Vec<_> = outcome.stdout.lines().collect();
    assert_eq!(outcome.code, Some(4), "{}", outcome.stderr);
    let [url, named, count] = lines[..] else {
        panic!("{lines:?}");
    };
    assert!(url.starts_with("postgresql:///orders?host=/"), "{url}");
    assert_eq!((named, count), (url, "0"));
    let note = "note: the binary does not compile, so only the databases that its source declares are started\n";
    assert!(outcome.stderr.contains(note), "{}", outcome.stderr);

    project.write(
        "src/main.rs",
        "#[cfg(any())]\nmod declared { #[database(\"orders\")] static A: Database; }\n\
         fn main() { let _: &str = env!(\"ORDERS_DATABASE_URL\"); }\n",
    );
    let outcome = Outcome::of(project.command(&["exec", "--", "cargo", "build", "--quiet"]));
    assert!(
        outcome.stderr.contains("declares nothing"),
        "{}",
        outcome.stderr
    );
    assert!(
        !outcome.stderr.contains("does not compile"),
        "{}",
        outcome.stderr
    );
}
