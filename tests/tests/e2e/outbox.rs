//! The outbox between processes: instances that share the work, that are killed and followed by others, and the tables
//! that they need.

use std::path::Path;

use expect_test::expect;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use sqlx::Row as _;
use underlay_local::Pin;

use crate::{
    application::{Application, Start, eventually},
    database::Server,
    folder::Folder,
    servers::{Need, trial},
};

pub(crate) fn trials() -> Vec<Trial> {
    let case = |name: &str, test: fn()| trial(name, &[Need::Native], test);
    vec![
        case("outbox::two_instances", two_instances),
        case("outbox::killed_before_it_sent", killed_before_it_sent),
        case("outbox::killed_and_followed", killed_and_followed),
        case("outbox::stopped", stopped),
        case("outbox::upkeep", upkeep),
        case("outbox::tables_missing", tables_missing),
        case("outbox::least_privilege", least_privilege),
    ]
}

/// A checkout of the mailroom with its server.
struct Mailroom {
    folder: Folder,
    server: Server,
}

impl Mailroom {
    fn new() -> Self {
        let folder = Folder::new();
        let server = Server::of_database(&folder, Pin::Native, "mail");
        Self { folder, server }
    }

    /// A deployment of it, whose broker is in its process, or in a file of this name.
    fn start(&self, broker: Option<&str>, migrations: &str) -> Start<'_> {
        let servers = &self.server.provisioned.config.sql_servers;
        let mut pubsub = json!({
            "type": "memory",
            "topics": { "letters": { "subscriptions": { "each": {}, "once": {} } } },
        });
        if let Some(file) = broker {
            pubsub["path"] = json!(self.folder.path(file));
        }
        let config = json!({
            "sql_servers": serde_json::to_value(servers).unwrap(),
            "pubsub": [pubsub],
            "migrations": migrations,
        });
        let program = Path::new(env!("CARGO_BIN_EXE_mailroom"));
        Start::new(&self.folder, program).with("UNDERLAY_INFRA", config.to_string())
    }

    /// The ids and numbers in a table, in its order, of one mailbox.
    fn rows(&self, sql: &'static str) -> Vec<(String, i64)> {
        let rows = self.server.query(sql);
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    fn count(&self, sql: &'static str) -> i64 {
        self.server.value(sql)
    }

    /// Waits until as many deliveries were written down.
    fn received(&self, count: i64) {
        eventually("everything is received", || {
            (self.count("SELECT count(*) FROM received") >= count).then_some(())
        });
    }
}

fn post(application: &Application<'_>, mailbox: &str, count: u32) -> Vec<String> {
    let answer = application.post(&format!("/post/{mailbox}/{count}"), Value::Null);
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_value(answer.json()).unwrap()
}

const WAITING: &str = "SELECT count(*) FROM underlay.outbox";

fn two_instances() {
    let mailroom = Mailroom::new();
    let one = mailroom.start(None, "on-start").serve();
    let two = mailroom.start(None, "on-start").serve();
    let mut posted = 0;
    for _ in 0..10 {
        for application in [&one, &two] {
            post(application, "shared", 10);
            posted += 10;
        }
    }
    mailroom.received(posted * 2);
    eventually("the outbox is empty", || {
        (mailroom.count(WAITING) == 0).then_some(())
    });
    one.stop();
    two.stop();
    let posted = mailroom.rows("SELECT message_id, number FROM posted ORDER BY row");
    assert_eq!(posted.len(), 200);
    for received in [
        mailroom
            .rows("SELECT message_id, number FROM received WHERE mailbox = 'shared' ORDER BY row"),
        mailroom.rows(
            "SELECT message_id, number FROM received WHERE mailbox = 'once: shared' ORDER BY row",
        ),
    ] {
        assert_eq!(received, posted, "each once, under its id, in order");
    }
}

/// Another one has the lease, so that nothing is sent before the kill.
fn killed_before_it_sent() {
    let mailroom = Mailroom::new();
    let first = mailroom.start(Some("broker"), "on-start").serve();
    first.stop();
    mailroom.server.query(
        "UPDATE underlay.lease SET holder = 'another', expires_at = 'infinity' WHERE name = 'letters' RETURNING 1",
    );
    let second = mailroom.start(Some("broker"), "on-start").serve();
    let ids = post(&second, "a", 3);
    assert_eq!(mailroom.count(WAITING), 3);
    second.kill();
    mailroom
        .server
        .query("UPDATE underlay.lease SET expires_at = '-infinity' RETURNING 1");
    let third = mailroom.start(Some("broker"), "on-start").serve();
    mailroom.received(6);
    third.stop();
    assert_eq!(mailroom.count(WAITING), 0);
    let received =
        mailroom.rows("SELECT message_id, number FROM received WHERE mailbox = 'a' ORDER BY row");
    let expected: Vec<(String, i64)> = ids.into_iter().zip(0..).collect();
    assert_eq!(received, expected);
}

/// The lease of a process that was killed expires, and the next one goes on.
fn killed_and_followed() {
    let mailroom = Mailroom::new();
    let first = mailroom.start(Some("broker"), "on-start").serve();
    post(&first, "a", 1);
    mailroom.received(2);
    first.kill();
    let held: bool = mailroom
        .server
        .value("SELECT expires_at > '-infinity' FROM underlay.lease WHERE name = 'letters'");
    assert!(held, "it had the lease and did not give it back");
    let second = mailroom.start(Some("broker"), "on-start").serve();
    post(&second, "b", 1);
    mailroom.received(4);
    second.stop();
    let given_back: bool = mailroom
        .server
        .value("SELECT bool_and(expires_at = '-infinity') FROM underlay.lease");
    assert!(given_back, "what is stopped leaves its leases to others");
}

/// What is committed before a process is told to stop is sent before it has stopped.
fn stopped() {
    let mailroom = Mailroom::new();
    let first = mailroom.start(Some("broker"), "on-start").serve();
    post(&first, "a", 1);
    mailroom.received(2);
    post(&first, "a", 500);
    first.stop();
    assert_eq!(mailroom.count(WAITING), 0);
    let second = mailroom.start(Some("broker"), "on-start").serve();
    mailroom.received(1002);
    second.stop();
}

/// What has expired is removed; what no running binary can send is told of, and stays.
fn upkeep() {
    let mailroom = Mailroom::new();
    mailroom.start(None, "on-start").serve().stop();
    mailroom.server.query(
        "INSERT INTO underlay.handled (topic, subscription, message_id, expires_at) \
         SELECT 'letters', 'once', n::text, clock_timestamp() + CASE n WHEN 0 THEN 1 ELSE -1 END * interval '1 day' \
         FROM generate_series(0, 2500) AS n RETURNING 1",
    );
    mailroom.server.query(
        "INSERT INTO underlay.outbox (message_id, topic, attributes, body) \
         VALUES (repeat('a', 32), 'gone', '{}', '') RETURNING 1",
    );
    let application = mailroom.start(None, "on-start").serve();
    application.line("1 messages in the outbox are of a topic that this binary does not declare");
    application.stop();
    assert_eq!(mailroom.count("SELECT count(*) FROM underlay.handled"), 1);
    assert_eq!(mailroom.count(WAITING), 1);
}

fn tables_missing() {
    let mailroom = Mailroom::new();
    let start = |migrations: &str| mailroom.start(None, migrations);
    expect!["database `mail`: the tables of the outbox, in the schema `underlay`, are missing, older than this binary, or closed to this role; run the migration job once, which is this binary with UNDERLAY_TASK=migrate: where migrations are `off`, it makes these tables and nothing else"].assert_eq(&start("off").refusal());
    let job = start("off")
        .with("UNDERLAY_TASK", "migrate")
        .spawn()
        .ended();
    assert_eq!(job.status.code(), Some(0), "{}", job.output);
    let own: bool = mailroom.server.value(
        "SELECT to_regclass('received') IS NULL AND to_regclass('_sqlx_migrations') IS NULL",
    );
    assert!(own, "only the tables of the outbox are made");
    start("off").serve().stop();
    mailroom.server.query("DROP SCHEMA underlay CASCADE");
    expect![[r#"
        2 problems keep the application from starting:
        - database `mail`: not applied yet: 1_create_received.up.sql; run the migration job first, which is this binary with UNDERLAY_TASK=migrate
        - database `mail`: the tables of the outbox, in the schema `underlay`, are missing, older than this binary, or closed to this role; run the migration job first, which is this binary with UNDERLAY_TASK=migrate"#]].assert_eq(&start("job").refusal());
    let job = start("job")
        .with("UNDERLAY_TASK", "migrate")
        .spawn()
        .ended();
    assert_eq!(job.status.code(), Some(0), "{}", job.output);
    start("job").serve().stop();
}

fn least_privilege() {
    let mailroom = Mailroom::new();
    mailroom.start(None, "on-start").serve().stop();
    let server = &mailroom.server;
    let database = &server.provisioned.config.sql_servers[0].databases["mail"];
    let owner: String =
        server.value("SELECT tableowner::text FROM pg_tables WHERE schemaname = 'underlay' AND tablename = 'outbox'");
    assert_eq!(
        Some(owner),
        database.migrator.as_ref().map(|it| it.username.clone())
    );
    for (table, rights) in [
        ("version", "SELECT"),
        ("outbox", "SELECT INSERT DELETE"),
        ("handled", "SELECT INSERT DELETE"),
        ("lease", "SELECT INSERT UPDATE"),
    ] {
        for right in [
            "SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "TRIGGER",
        ] {
            let has: bool = server.value_of(
                "SELECT has_table_privilege($1, $2, $3)",
                &[&database.username, &format!("underlay.{table}"), right],
            );
            assert_eq!(has, rights.contains(right), "{right} on {table}");
        }
    }
    let may_create: bool = server.value_of(
        "SELECT has_schema_privilege($1, 'underlay', 'CREATE')",
        &[&database.username],
    );
    assert!(!may_create);
}
