//! A database that fails while the service runs: killed and started again, without a connection left, with a full disk.
//! The service recovers by itself, every wait is bounded, and what was acknowledged is there.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    application::{Application, Start, eventually},
    folder::{Folder, docker},
    http::{Connection, block_on},
    plain_server::PlainServer,
    servers::{Need, trial},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "faults::killed_under_load",
            &[Need::Native],
            killed_under_load,
        ),
        trial("faults::pool_exhausted", &[Need::Native], pool_exhausted),
        trial(
            "faults::server_has_no_connection_left",
            &[Need::Native],
            server_has_no_connection_left,
        ),
        trial(
            "faults::statement_timeout",
            &[Need::Native],
            statement_timeout,
        ),
        trial("faults::role_missing", &[Need::Native], role_missing),
        trial("faults::disk_full", &[Need::Docker], disk_full),
        trial("faults::replica", &[Need::Native], replica),
    ]
}

/// The ledger on a server, with an infra config.
pub(crate) fn ledger<'a>(folder: &'a Folder, server: &Value) -> Start<'a> {
    let config = json!({ "sql_servers": [server] });
    let path = folder.write("infra.json", &config.to_string());
    Start::new(folder, Path::new(env!("CARGO_BIN_EXE_ledger"))).with("UNDERLAY_INFRA", path)
}

/// The entry of a server, whose one role may do everything.
pub(crate) fn entry(host: &str, database: Value) -> Value {
    let mut entry = json!({
        "host": host,
        "tls_config": { "disabled": true },
        "databases": { "ledger": { "username": "postgres", "password": "hidden-password" } },
    });
    for (key, value) in database.as_object().unwrap() {
        entry["databases"]["ledger"][key] = value.clone();
    }
    entry
}

fn server(folder: &Folder) -> PlainServer {
    let server = PlainServer::new(folder, "server", &[]);
    server.start();
    server.psql("CREATE DATABASE ledger").unwrap();
    server
}

/// What readiness says: the status, and why the database does not answer.
fn readiness(application: &Application<'_>) -> (u16, String) {
    let answer = application.get("/__underlay/health/ready");
    let body = answer.json();
    let database = &body["dependencies"][0];
    assert_eq!(database["name"], "ledger", "{body}");
    let error = database["error"].as_str().unwrap_or_default();
    (answer.status, error.to_owned())
}

fn killed_under_load() {
    let folder = Folder::new();
    let server = server(&folder);
    let application = ledger(
        &folder,
        &entry(&server.socket(), json!({ "acquire_timeout": "2s" })),
    )
    .serve();
    let address = application.address();
    let stop = Arc::new(AtomicBool::new(false));
    // Each writes as fast as it is answered, and remembers what was acknowledged.
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                block_on(async {
                    let mut acknowledged = Vec::new();
                    let mut refused = 0_usize;
                    let mut connection = Connection::open(address).await.unwrap();
                    let mut number = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let path = format!("/entries/{writer}-{number}");
                        number += 1;
                        match connection.send("POST", &path, None).await {
                            Ok(answer) if answer.status == 200 => {
                                acknowledged.push(answer.json().as_i64().unwrap());
                            }
                            Ok(answer) => {
                                assert!((500..=503).contains(&answer.status), "{}", answer.status);
                                refused += 1;
                            }
                            Err(error) => panic!("the service itself stays: {error}"),
                        }
                    }
                    (acknowledged, refused)
                })
            })
        })
        .collect();
    let count = || {
        server
            .psql_in("ledger", "SELECT count(*) FROM entries")
            .unwrap()
    };
    for _ in 0..2 {
        let before: i64 = count().parse().unwrap();
        eventually("entries are written", || {
            (count().parse::<i64>().unwrap() > before + 100).then_some(())
        });
        server.kill();
        eventually("readiness says that the database is gone", || {
            let (status, error) = readiness(&application);
            (status == 503 && !error.is_empty()).then_some(())
        });
        server.start();
        eventually("readiness is back, by itself", || {
            (readiness(&application).0 == 200).then_some(())
        });
    }
    let before: i64 = count().parse().unwrap();
    eventually("entries are written again", || {
        (count().parse::<i64>().unwrap() > before + 100).then_some(())
    });
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    let mut refused = 0;
    for writer in writers {
        let (ids, without) = writer.join().unwrap();
        acknowledged.extend(ids);
        refused += without;
    }
    let stored = server.psql_in("ledger", "SELECT id FROM entries").unwrap();
    let stored: BTreeSet<i64> = stored.lines().map(|it| it.parse().unwrap()).collect();
    let lost = acknowledged
        .iter()
        .filter(|it| !stored.contains(it))
        .count();
    println!(
        "faults: {} entries acknowledged over two kills of the server, {lost} lost; {refused} requests refused",
        acknowledged.len()
    );
    assert_eq!(lost, 0);
    assert!(refused > 0, "the kills were noticed");
    application.stop();
}

fn pool_exhausted() {
    let folder = Folder::new();
    let server = server(&folder);
    let database = json!({ "max_connections": 2, "acquire_timeout": "500ms" });
    let application = ledger(&folder, &entry(&server.socket(), database)).serve();
    let holder = HeldLock::new(&server);
    let address = application.address();
    let holding: Vec<_> = (0..2)
        .map(|_| thread::spawn(move || crate::http::call(address, "POST", "/hold/4711", None)))
        .collect();
    eventually("both connections of the pool wait for the lock", || {
        (server.psql(WAITING).unwrap() == "2").then_some(())
    });
    assert_eq!(application.get("/pool").json(), json!([2, 0, 2]));
    let answer = application.post("/entries/a", Value::Null);
    assert_eq!(answer.status, 503);
    application.line("no connection to the database became free in time");
    let (status, error) = readiness(&application);
    assert_eq!(status, 503, "{error}");
    holder.release();
    for holding in holding {
        assert_eq!(holding.join().unwrap().status, 200);
    }
    assert_eq!(application.post("/entries/a", Value::Null).status, 200);
    assert_eq!(readiness(&application).0, 200);
    application.stop();
}

const WAITING: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";

/// Holds the advisory lock 4711 of the database `ledger`, by a session that waits for its end on standard input.
struct HeldLock(std::process::Child);

impl HeldLock {
    fn new(server: &PlainServer) -> Self {
        use std::io::Write as _;

        let mut child = server
            .client("psql")
            .args(["-d", "ledger", "-X", "-q"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let input = child.stdin.as_mut().unwrap();
        input
            .write_all(b"SELECT pg_advisory_lock(4711);\n")
            .unwrap();
        input.flush().unwrap();
        let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted";
        eventually("the lock is held", || {
            (server.psql(held).unwrap() == "1").then_some(())
        });
        Self(child)
    }

    fn release(mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

fn server_has_no_connection_left() {
    let folder = Folder::new();
    let server = server(&folder);
    server
        .psql("CREATE ROLE few LOGIN CONNECTION LIMIT 1; GRANT ALL ON DATABASE ledger TO few")
        .unwrap();
    server
        .psql_in("ledger", "GRANT ALL ON SCHEMA public TO few")
        .unwrap();
    let database = json!({ "username": "few", "acquire_timeout": "500ms" });
    let application = ledger(&folder, &entry(&server.socket(), database)).serve();
    let holder = HeldLock::new(&server);
    let address = application.address();
    let holding = thread::spawn(move || crate::http::call(address, "POST", "/hold/4711", None));
    eventually("the role's one connection waits for the lock", || {
        (server.psql(WAITING).unwrap() == "1").then_some(())
    });
    let answer = application.post("/entries/a", Value::Null);
    assert!(matches!(answer.status, 500 | 503), "{}", answer.status);
    holder.release();
    assert_eq!(holding.join().unwrap().status, 200);
    // Whoever asks just before the connection is given back tries to open one, in vain, until it gives up.
    eventually("it writes again, by itself", || {
        (application.post("/entries/a", Value::Null).status == 200).then_some(())
    });
    application.stop();
}

fn statement_timeout() {
    let folder = Folder::new();
    let server = server(&folder);
    let database = json!({ "statement_timeout": "200ms" });
    let application = ledger(&folder, &entry(&server.socket(), database)).serve();
    let holder = HeldLock::new(&server);
    let answer = application.post("/hold/4711", Value::Null);
    assert_eq!(answer.status, 500);
    application.line("canceling statement due to statement timeout");
    holder.release();
    application.stop();
}

fn role_missing() {
    let folder = Folder::new();
    let server = server(&folder);
    let database = json!({ "username": "nobody-there" });
    let error = ledger(&folder, &entry(&server.socket(), database)).refusal();
    let error = error.replace(&server.port.to_string(), "<port>");
    expect_test::expect![[r#"database `ledger` on <checkout>/server:<port>: the server does not let the role `nobody-there` in: role "nobody-there" does not exist"#]].assert_eq(&error);
}

/// The database lies on a volume of a few megabytes, the server's own files elsewhere.
fn disk_full() {
    struct Container(String);
    impl Drop for Container {
        fn drop(&mut self) {
            docker(&["rm", "--force", "--volumes", &self.0]);
        }
    }

    let folder = Folder::new();
    let container = docker(&[
        "run",
        "--detach",
        "--label=dev.underlay.test=disk-full",
        "--env=POSTGRES_PASSWORD=hidden-password",
        "--tmpfs=/small:rw,size=24m,mode=0777",
        "--tmpfs=/var/lib/postgresql/data:rw",
        "--publish=127.0.0.1:0:5432",
        "postgres:17",
    ]);
    let container = Container(container.trim().to_owned());
    let psql = |database: &str, sql: &str| {
        docker(&[
            "exec",
            "--user=postgres",
            &container.0,
            "psql",
            "-h",
            "127.0.0.1",
            "-U",
            "postgres",
            "-d",
            database,
            "-X",
            "-A",
            "-t",
            "-c",
            sql,
        ])
    };
    // The ballast is what somebody else has on the volume.
    let prepare = "mkdir /small/space && chown postgres /small/space && head -c 6000000 /dev/zero > /small/ballast";
    docker(&["exec", &container.0, "sh", "-c", prepare]);
    eventually("the container's server answers", || {
        (psql("postgres", "SELECT 1").trim() == "1").then_some(())
    });
    psql(
        "postgres",
        "CREATE TABLESPACE small LOCATION '/small/space'",
    );
    psql("postgres", "CREATE DATABASE ledger TABLESPACE small");
    let port = docker(&["port", &container.0, "5432/tcp"]);
    let host = port.lines().next().unwrap().trim().to_owned();
    let application = ledger(&folder, &entry(&host, json!({}))).serve();
    // Half a megabyte each, of which nothing can be compressed away.
    let status = eventually("the disk is full", || {
        let status = application.post("/fill", Value::Null).status;
        (status != 200).then_some(status)
    });
    assert_eq!(status, 500);
    application.line("No space left on device");
    assert_eq!(
        application.get("/entries/count").status,
        200,
        "it still reads"
    );
    assert_eq!(readiness(&application).0, 200, "the database answers");
    docker(&["exec", &container.0, "rm", "/small/ballast"]);
    assert_eq!(
        application.post("/fill", Value::Null).status,
        200,
        "it writes again, by itself"
    );
    application.stop();
}

fn replica() {
    let folder = Folder::new();
    let server = server(&folder);
    let copy = PlainServer::stopped(&folder, "replica", &[]);
    let made = server
        .client("pg_basebackup")
        .args([
            "--write-recovery-conf",
            "--no-sync",
            "--checkpoint=fast",
            "-D",
        ])
        .arg(copy.home.join("data"))
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    copy.start();
    let mut entry = entry(&server.socket(), json!({}));
    entry["read_replica"] = json!({ "host": copy.socket() });
    let application = ledger(&folder, &entry).serve();
    assert_eq!(application.post("/entries/a", Value::Null).status, 200);
    // The count is read from the replica, which follows.
    eventually("the replica has the entry", || {
        let answer = application.get("/entries/count");
        (answer.status == 200 && answer.text() == "1").then_some(())
    });
    copy.kill();
    let answer = application.get("/__underlay/health/ready");
    assert_eq!(answer.status, 503);
    let body = answer.json();
    let kinds: Vec<_> = body["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["kind"].as_str().unwrap(), it["status"].as_str().unwrap()))
        .collect();
    assert_eq!(kinds, [("database", "ok"), ("database replica", "failing")]);
    assert_eq!(
        application.post("/entries/b", Value::Null).status,
        200,
        "the primary is there"
    );
    application.stop();
}
