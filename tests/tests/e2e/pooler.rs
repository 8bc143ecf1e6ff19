//! A pooler before a database that hands its connections over after each transaction, as PgBouncer does and Neon's
//! `-pooler` hosts: what `"pooled": true` changes, and that migrations go around it.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Child, Stdio},
    sync::{Arc, Barrier},
    thread,
};

use expect_test::expect;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    application::{Application, eventually},
    faults::{entry, ledger},
    folder::Folder,
    http,
    plain_server::PlainServer,
    servers::{Need, pgbouncer, trial},
};

const WRITERS: usize = 200;

pub(crate) fn trials() -> Vec<Trial> {
    let needs = &[Need::Native, Need::PgBouncer];
    vec![
        trial("pooler::pooled", needs, pooled),
        trial("pooler::not_said", needs, not_said),
        trial("pooler::no_way_around", needs, no_way_around),
        trial("pooler::statements_mixed_up", needs, statements_mixed_up),
    ]
}

/// A PgBouncer in transaction mode with two connections to a server. It knows the role `service` and nobody else.
struct Pooler<'a> {
    server: &'a PlainServer,
    child: Child,
}

impl<'a> Pooler<'a> {
    /// Starts it in the server's folder, and waits until it answers. `settings` are lines of its own.
    fn new(server: &'a PlainServer, settings: &str) -> Self {
        let home = server.home.display();
        // Its socket lies in the test's own folder, so the number of its port may be anything.
        let config = format!(
            "[databases]\n\
             ledger = host={home} port={} dbname=ledger\n\
             [pgbouncer]\n\
             listen_addr =\n\
             listen_port = {PORT}\n\
             unix_socket_dir = {home}\n\
             auth_type = trust\n\
             auth_file = {home}/roles\n\
             pool_mode = transaction\n\
             default_pool_size = 2\n\
             max_client_conn = 300\n\
             {settings}\n",
            server.port
        );
        for (name, text) in [("pooler.ini", &*config), ("roles", "\"service\" \"\"\n")] {
            let path = server.home.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        }
        let log = fs::File::create(server.home.join("pooler.log")).unwrap();
        let program = pgbouncer().unwrap();
        let child = server
            .command(program.to_str().unwrap())
            .arg("pooler.ini")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let pooler = Self { server, child };
        eventually("the pooler answers", || {
            let mut psql = server.command("psql");
            psql.arg("-h").arg(&server.home).args(["-p", PORT]);
            psql.args(["-U", "service", "-d", "ledger", "-X", "-c", "SELECT 1"]);
            let output = psql.output().unwrap();
            output.status.success().then_some(())
        });
        pooler
    }

    /// As `sql_servers[].host`.
    fn host(&self) -> String {
        format!("{}:{PORT}", self.server.home.display())
    }

    /// The entry of this pooler, with migrations on the server itself as another role.
    fn entry(&self) -> Value {
        let migrator = json!({
            "host": self.server.socket(),
            "username": "migrator",
            "password": "hidden-password",
        });
        let mut entry = entry(
            &self.host(),
            json!({ "username": "service", "migrator": migrator }),
        );
        entry["pooled"] = json!(true);
        entry
    }
}

impl Drop for Pooler<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = fs::read_to_string(self.server.home.join("pooler.log"));
            println!("--- the pooler said:\n{}\n---", log.unwrap_or_default());
        }
    }
}

/// What the migrator creates, the service uses.
pub(crate) const GRANT: &str =
    "ALTER DEFAULT PRIVILEGES FOR ROLE migrator GRANT ALL ON TABLES TO service";

/// A part of the name of the pooler's socket.
const PORT: &str = "6432";

fn server(folder: &Folder) -> PlainServer {
    let server = PlainServer::new(folder, "server", &[]);
    server.start();
    for sql in [
        "CREATE ROLE service LOGIN",
        "CREATE ROLE migrator LOGIN",
        "CREATE DATABASE ledger OWNER migrator",
    ] {
        server.psql(sql).unwrap();
    }
    server.psql_in("ledger", GRANT).unwrap();
    server
}

/// Writes from many sides at the same moment; the statuses.
fn write(application: &Application<'_>) -> Vec<u16> {
    let address = application.address();
    let start = Arc::new(Barrier::new(WRITERS));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let start = Arc::clone(&start);
            thread::spawn(move || {
                start.wait();
                http::call(address, "POST", &format!("/entries/{writer}"), None).status
            })
        })
        .collect();
    writers.into_iter().map(|it| it.join().unwrap()).collect()
}

fn pooled() {
    let folder = Folder::new();
    let server = server(&folder);
    let pooler = Pooler::new(&server, "");
    let mut entry = pooler.entry();
    let application = ledger(&folder, &entry).serve();
    let owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'entries'";
    assert_eq!(server.psql_in("ledger", owner).unwrap(), "migrator");
    // Again with the statements that the first round has prepared, on whichever connection each gets now.
    for round in 1..=2 {
        assert_eq!(write(&application), [200; WRITERS]);
        let count = application.get("/entries/count").expect(200).json();
        assert_eq!(count, json!(round * WRITERS));
    }
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'service'";
    assert_eq!(server.psql(sessions).unwrap(), "2");
    let pool = application.get("/pool").json();
    assert!(pool[0].as_u64() > Some(2), "{pool}: more than the pooler's");
    application.stop();

    // Nothing is to be applied, so nothing must lead around the pooler.
    let database = entry["databases"]["ledger"].as_object_mut().unwrap();
    database.remove("migrator");
    let application = ledger(&folder, &entry).serve();
    assert_eq!(application.post("/entries/a", Value::Null).status, 200);
    application.stop();
}

fn not_said() {
    let folder = Folder::new();
    let server = server(&folder);
    let pooler = Pooler::new(&server, "");
    let mut entry = pooler.entry();
    entry["pooled"] = json!(false);
    expect![[r#"database `ledger` on <checkout>/server:6432: a pooler answered: unsupported startup parameter: extra_float_digits; say `"pooled": true` for it"#]].assert_eq(&ledger(&folder, &entry).refusal());
}

fn no_way_around() {
    let folder = Folder::new();
    let server = server(&folder);
    let pooler = Pooler::new(&server, "");
    let mut entry = pooler.entry();
    let migrator = entry["databases"]["ledger"]["migrator"].as_object_mut();
    migrator.unwrap().remove("host");
    expect!["database `ledger`: infra config: sql_servers[].databases.ledger.migrator.host: is missing; migrations hold a lock on their connection, which a pooler would hand over to others, so they need the server's own address"].assert_eq(&ledger(&folder, &entry).refusal());
}

/// A pooler that hands statements through as they are named, as PgBouncer did before 1.21.
fn statements_mixed_up() {
    let folder = Folder::new();
    let server = server(&folder);
    let pooler = Pooler::new(&server, "max_prepared_statements = 0");
    let application = ledger(&folder, &pooler.entry()).serve();
    let statuses = write(&application);
    let refused = statuses.iter().filter(|it| **it != 200).count();
    println!("pooler: {refused} of {WRITERS} writes failed without tracking");
    assert!(refused > 0);
    application.line(r#"prepared statement \"sqlx_s_"#);
    application.stop();
}
