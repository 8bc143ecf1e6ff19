//! `#[underlay::test]` keeps tests apart: each has its own database, topics, buckets, caches and secrets, and every task
//! that it or a library spawns sees those of its test. The server of the test cluster comes from the ladder.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Barrier, Mutex},
    thread,
    time::Duration,
};

use sqlx::{ConnectOptions as _, PgConnection};
use underlay::prelude::*;
use underlay::testing;

#[database("notes", migrations = "fixtures/notes")]
static NOTES: Database;

#[derive(Debug, Clone, PartialEq, Message, Serialize, Deserialize)]
struct Noted {
    text: String,
}

#[topic("noted", delivery = "at-least-once")]
static NOTED: Topic<Noted>;

#[subscription(NOTED, "copy")]
async fn copy(event: Noted) -> underlay::Result<()> {
    sqlx::query("INSERT INTO notes (text) VALUES ('copy of ' || $1)")
        .bind(event.text)
        .execute(&*NOTES)
        .await?;
    Ok(())
}

#[bucket("scans")]
static SCANS: Bucket;

#[cache("counters")]
static COUNTERS: CacheCluster;

#[keyspace(COUNTERS, "count/:key")]
static COUNT: IntKeyspace<String>;

#[secret("NotesKey")]
static NOTES_KEY: Secret;

/// How many tests run at once.
const AT_ONCE: usize = 40;

/// Which database the handle leads to here.
async fn here() -> String {
    sqlx::query_scalar("SELECT current_database()::text")
        .fetch_one(&*NOTES)
        .await
        .unwrap()
}

async fn notes() -> Vec<String> {
    sqlx::query_scalar("SELECT text FROM notes ORDER BY text")
        .fetch_all(&*NOTES)
        .await
        .unwrap()
}

/// Uses every primitive under one name, with steps between which other tests get their turn; then looks whether
/// anything of theirs is to be seen.
async fn use_everything(name: &str) {
    testing::set_secret("NotesKey", name).unwrap();
    sqlx::query("INSERT INTO notes (text) VALUES ($1)")
        .bind(name)
        .execute(&*NOTES)
        .await
        .unwrap();
    NOTED
        .publish(&Noted {
            text: name.to_owned(),
        })
        .await
        .unwrap();
    SCANS.upload("scan.txt", name.to_owned()).await.unwrap();
    SCANS.upload(&format!("{name}.txt"), "own").await.unwrap();
    for _ in 0..3 {
        COUNT.increment(&"all".to_owned(), 1).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(testing::drain().await.unwrap(), 1);
    assert_eq!(notes().await, [format!("copy of {name}"), name.to_owned()]);
    assert_eq!(SCANS.download("scan.txt").await.unwrap(), name.as_bytes());
    let objects = SCANS
        .list(List::default())
        .await
        .unwrap()
        .collect()
        .await
        .unwrap();
    let names: BTreeSet<String> = objects.into_iter().map(|object| object.name).collect();
    assert_eq!(
        names,
        BTreeSet::from([format!("{name}.txt"), "scan.txt".to_owned()])
    );
    assert_eq!(COUNT.get(&"all".to_owned()).await.unwrap(), Some(3));
    assert_eq!(NOTES_KEY().expose().unwrap(), name);
}

#[test]
fn forty_tests_at_once_do_not_mix() {
    // libtest runs as many tests at once as there are processors; these are all there at the same time.
    let all_are_there = Arc::new(Barrier::new(AT_ONCE));
    let databases = Arc::new(Mutex::new(BTreeSet::new()));
    let tests: Vec<_> = (0..AT_ONCE)
        .map(|number| {
            let (all_are_there, databases) = (Arc::clone(&all_are_there), Arc::clone(&databases));
            thread::spawn(move || {
                testing::run("isolation::forty", async || {
                    let database = here().await;
                    databases.lock().unwrap().insert(database);
                    tokio::task::spawn_blocking(move || all_are_there.wait())
                        .await
                        .unwrap();
                    use_everything(&format!("test {number}")).await;
                });
            })
        })
        .collect();
    let failed = tests
        .into_iter()
        .map(thread::JoinHandle::join)
        .filter(Result::is_err)
        .count();
    assert_eq!(failed, 0);
    assert_eq!(databases.lock().unwrap().len(), AT_ONCE);
}

#[underlay::test]
async fn the_first_of_two_tests_with_the_same_names() {
    use_everything("twin").await;
}

#[underlay::test]
async fn the_second_of_two_tests_with_the_same_names() {
    use_everything("twin").await;
}

#[underlay::test]
async fn tasks_stay_in_the_scope_of_their_test() {
    let own = here().await;
    let spawned = tokio::spawn(here());
    let nested = tokio::spawn(async {
        tokio::spawn(async { tokio::spawn(here()).await.unwrap() })
            .await
            .unwrap()
    });
    let blocking =
        tokio::task::spawn_blocking(|| tokio::runtime::Handle::current().block_on(here()));
    let blocking_in_task = tokio::spawn(async {
        tokio::task::spawn_blocking(|| NOTES.pool().is_ok())
            .await
            .unwrap()
    });
    let mut set = tokio::task::JoinSet::new();
    for _ in 0..20 {
        set.spawn(here());
    }
    assert_eq!(spawned.await.unwrap(), own);
    assert_eq!(nested.await.unwrap(), own);
    assert_eq!(blocking.await.unwrap(), own);
    assert!(blocking_in_task.await.unwrap());
    assert!(set.join_all().await.iter().all(|database| *database == own));
    // What a timer wakes, and what another task completes.
    let (send, receive) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        tokio::time::timeout(Duration::from_millis(1), std::future::pending::<()>())
            .await
            .unwrap_err();
        send.send(here().await).unwrap();
    });
    assert_eq!(receive.await.unwrap(), own);
}

/// Runs a test that panics after it has told which database it has; gives that and how to connect to the server.
fn panicking() -> (String, sqlx::postgres::PgConnectOptions) {
    let mut told = None;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        testing::run("isolation::panicking", async || {
            told = Some((here().await, NOTES.connect_options().as_ref().clone()));
            sqlx::query("INSERT INTO notes (text) VALUES ('left behind')")
                .execute(&*NOTES)
                .await
                .unwrap();
            panic!("as tests do");
        });
    }));
    let panic = outcome.unwrap_err();
    assert_eq!(
        panic.downcast_ref(),
        Some(&"as tests do"),
        "the test's own panic is what is seen"
    );
    told.unwrap()
}

#[test]
fn a_test_that_panics_leaves_no_database() {
    let (database, options) = panicking();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let left: i64 = runtime.block_on(async {
        let mut connection: PgConnection = options.database("postgres").connect().await.unwrap();
        let count = sqlx::query_scalar("SELECT count(*) FROM pg_database WHERE datname = $1")
            .bind(&database);
        count.fetch_one(&mut connection).await.unwrap()
    });
    assert_eq!(left, 0, "{database} is still there");
}

#[test]
fn handles_outside_say_what_to_do() {
    let expected = |what: &str| {
        format!(
            "the {what} is not bound here: start the application first (`underlay::run()` or `underlay::start()`), \
             or use `#[underlay::test]`"
        )
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let check = |what: &str, error: underlay::Error| {
        assert_eq!(error.to_string(), expected(what));
        assert_eq!(error.kind(), underlay::ErrorKind::NotStarted);
    };
    check("database `notes`", NOTES.pool().unwrap_err());
    let event = Noted {
        text: String::new(),
    };
    check(
        "topic `noted`",
        runtime
            .block_on(NOTED.publish(&event))
            .map(|_| ())
            .unwrap_err(),
    );
    check(
        "bucket `scans`",
        runtime.block_on(SCANS.download("a")).unwrap_err(),
    );
    check(
        "cache `counters`",
        runtime.block_on(COUNT.get(&"a".to_owned())).unwrap_err(),
    );
    let panic = catch_unwind(|| NOTES.size()).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&expected("database `notes`")));
    for error in [
        runtime.block_on(testing::drain()).map(|_| ()).unwrap_err(),
        runtime.block_on(testing::run_cron("any")).unwrap_err(),
        testing::set_secret("NotesKey", "x").unwrap_err(),
    ] {
        assert_eq!(
            error.to_string(),
            "`underlay::testing` works only in a test with `#[underlay::test]`"
        );
    }
    // No test has left anything bound in this thread.
    testing::run("isolation::inside", async || assert!(NOTES.pool().is_ok()));
    check("database `notes`", NOTES.pool().unwrap_err());
}
