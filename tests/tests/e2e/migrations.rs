//! Migrations as those meet them who write them: files on disk that a local start applies, and what it says of those
//! that it does not. The cases are those that other frameworks get wrong: they skip, overwrite or half-apply.

use std::path::Path;

use expect_test::{Expect, expect};
use libtest_mimic::Trial;
use sqlx::Row as _;
use underlay_local::Pin;

use crate::{
    application::{Start, eventually},
    database::Server,
    folder::Folder,
    servers::{Need, trial},
};

/// The file that every case begins with.
const FIRST: (&str, &str) = (
    "1_create_entries.up.sql",
    "CREATE TABLE entries (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text TEXT NOT NULL);",
);

pub(crate) fn trials() -> Vec<Trial> {
    let case = |name: &str, test: fn()| trial(name, &[Need::Native], test);
    vec![
        case(
            "migrations::new_file_without_a_build",
            new_file_without_a_build,
        ),
        case("migrations::edited", edited),
        case("migrations::lower_number_later", lower_number_later),
        case("migrations::file_gone", file_gone),
        case("migrations::newer_than_the_binary", newer_than_the_binary),
        case("migrations::gap", gap),
        case("migrations::duplicate_number", duplicate_number),
        case("migrations::twenty_digits", twenty_digits),
        case("migrations::second_statement_fails", second_statement_fails),
        case("migrations::without_a_transaction", without_a_transaction),
        case(
            "migrations::index_concurrently_needs_its_mark",
            index_concurrently_needs_its_mark,
        ),
        case("migrations::invalid_index_is_named", invalid_index_is_named),
        case(
            "migrations::eight_processes_at_once",
            eight_processes_at_once,
        ),
        case("migrations::killed_halfway", killed_halfway),
        case("migrations::job", job),
        case("migrations::off", off),
        case("migrations::seed", seed),
        case("migrations::unknown_task", unknown_task),
        case("migrations::by_the_migrator", by_the_migrator),
    ]
}

/// A checkout of the ledger with the sources that matter: its migrations.
struct Ledger {
    folder: Folder,
}

impl Ledger {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        folder.write("tests/Cargo.toml", "");
        let ledger = Self { folder };
        for (name, sql) in std::iter::once(&FIRST).chain(files) {
            ledger.write(name, sql);
        }
        ledger
    }

    fn write(&self, name: &str, sql: &str) {
        let path = format!("tests/migrations/ledger/{name}");
        self.folder.write(&path, sql);
    }

    fn remove(&self, name: &str) {
        let path = format!("tests/migrations/ledger/{name}");
        std::fs::remove_file(self.folder.path(&path)).unwrap();
    }

    fn start(&self) -> Start<'_> {
        let program = Path::new(env!("CARGO_BIN_EXE_ledger"));
        Start::new(&self.folder, program).with("UNDERLAY_POSTGRES", "native")
    }

    /// The job that applies and exits; all that it printed.
    #[track_caller]
    fn migrate(&self) -> String {
        let ended = self
            .start()
            .with("UNDERLAY_TASK", "migrate")
            .spawn()
            .ended();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.output);
        ended.output
    }

    fn refuses(&self, expected: &Expect) {
        let error = self.start().with("UNDERLAY_TASK", "migrate").refusal();
        expected.assert_eq(&error);
    }

    fn server(&self) -> Server {
        Server::of_database(&self.folder, Pin::Native, "ledger")
    }

    /// The numbers that are recorded as applied.
    fn applied(&self) -> Vec<i64> {
        let rows = self
            .server()
            .query("SELECT version FROM _sqlx_migrations ORDER BY version");
        rows.iter().map(|row| row.get(0)).collect()
    }
}

fn new_file_without_a_build() {
    let ledger = Ledger::new(&[]);
    let application = ledger.start().serve();
    assert_eq!(
        application
            .post("/entries/a", serde_json::Value::Null)
            .status,
        200
    );
    application.stop();
    ledger.write(
        "2_add_note.up.sql",
        "ALTER TABLE entries ADD note TEXT NOT NULL DEFAULT '';",
    );
    let application = ledger.start().serve();
    application.line("applied 2_add_note.up.sql");
    assert_eq!(application.get("/entries/count").text(), "1");
    application.stop();
    assert_eq!(ledger.applied(), [1, 2]);
}

fn edited() {
    let ledger = Ledger::new(&[("2_more.up.sql", "CREATE TABLE more ();")]);
    ledger.migrate();
    ledger.write("2_more.up.sql", "CREATE TABLE more (id INT);");
    ledger.refuses(&expect!["database `ledger`: migration file `2_more.up.sql` was edited after it was applied; restore it and put the change into a new file, or, where the data may go, start afresh: cargo underlay db reset"]);
}

fn lower_number_later() {
    let ledger = Ledger::new(&[("5_five.up.sql", "CREATE TABLE five ();")]);
    ledger.migrate();
    ledger.write("3_three.up.sql", "CREATE TABLE three ();");
    ledger.write("6_six.up.sql", "CREATE TABLE six ();");
    ledger.refuses(&expect!["database `ledger`: migration file `3_three.up.sql` has a lower number than migration 5 (five), which is applied already; rename it to a number above 5"]);
    assert_eq!(ledger.applied(), [1, 5], "nothing is applied beside it");
}

fn file_gone() {
    let ledger = Ledger::new(&[
        ("2_two.up.sql", "CREATE TABLE two ();"),
        ("3_three.up.sql", "CREATE TABLE three ();"),
    ]);
    ledger.migrate();
    ledger.remove("2_two.up.sql");
    ledger.refuses(&expect!["database `ledger`: migration 2 (two) is applied, and there is no file for it; restore the file"]);
}

/// As after going back to an older version: its schema is a part of the newer one.
fn newer_than_the_binary() {
    let ledger = Ledger::new(&[("2_two.up.sql", "CREATE TABLE two ();")]);
    ledger.migrate();
    ledger.remove("2_two.up.sql");
    let application = ledger.start().serve();
    application.line("migration 2 (two) is applied and newer than this binary");
    assert_eq!(application.get("/entries/count").text(), "0");
    application.stop();
}

fn gap() {
    let ledger = Ledger::new(&[
        ("3_three.up.sql", "CREATE TABLE three ();"),
        ("20260101120000_then.up.sql", "CREATE TABLE then_ ();"),
    ]);
    ledger.migrate();
    assert_eq!(ledger.applied(), [1, 3, 20_260_101_120_000]);
}

fn duplicate_number() {
    let ledger = Ledger::new(&[
        ("2_two.up.sql", "CREATE TABLE two ();"),
        ("02_other.up.sql", "CREATE TABLE other ();"),
        ("3.up.sql", "CREATE TABLE three ();"),
    ]);
    ledger.refuses(&expect![[r#"
        2 problems keep the application from starting:
        - <checkout>/tests/migrations/ledger: migration file `3.up.sql` has no description: a migration is named `{number}_{description}.up.sql`
        - <checkout>/tests/migrations/ledger: migration number 2 is used by `02_other.up.sql` and by `2_two.up.sql`; give each file a number of its own"#]]);
}

fn twenty_digits() {
    let ledger = Ledger::new(&[("12345678901234567890_big.up.sql", "CREATE TABLE big ();")]);
    ledger.refuses(&expect!["<checkout>/tests/migrations/ledger: migration file `12345678901234567890_big.up.sql` has a number above the limit, 9223372036854775807 (64 bits)"]);
}

fn second_statement_fails() {
    let ledger = Ledger::new(&[
        ("2_two.up.sql", "CREATE TABLE two ();"),
        (
            "3_three.up.sql",
            "CREATE TABLE three ();\n\nINSERT INTO three\n  SELECT nothing;\nCREATE TABLE four ();",
        ),
        ("4_four.up.sql", "CREATE TABLE four ();"),
    ]);
    ledger.refuses(&expect![[r#"database `ledger`: migration file `3_three.up.sql:4` failed: column "nothing" does not exist; nothing of it was kept; everything up to `2_two.up.sql` was applied"#]]);
    assert_eq!(ledger.applied(), [1, 2]);
    let three: bool = ledger.server().value("SELECT to_regclass('three') IS NULL");
    assert!(three, "the first statement of the file was taken back");
    ledger.write("3_three.up.sql", "CREATE TABLE three ();");
    ledger.migrate();
    assert_eq!(ledger.applied(), [1, 2, 3, 4]);
}

const INDEX: &str = "CREATE INDEX CONCURRENTLY entries_by_text ON entries (text);";

fn without_a_transaction() {
    let ledger = Ledger::new(&[("2_index.up.sql", &format!("-- no-transaction\n{INDEX}"))]);
    ledger.migrate();
    assert_eq!(ledger.applied(), [1, 2]);
    let valid: bool = ledger
        .server()
        .value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'entries_by_text'::regclass");
    assert!(valid);
}

fn index_concurrently_needs_its_mark() {
    let ledger = Ledger::new(&[("2_index.up.sql", INDEX)]);
    ledger.refuses(&expect!["database `ledger`: migration file `2_index.up.sql` failed: CREATE INDEX CONCURRENTLY cannot run inside a transaction block; begin the file with the line `-- no-transaction` and give it this one statement; nothing of it was kept; everything up to `1_create_entries.up.sql` was applied"]);
    ledger.write(
        "2_index.up.sql",
        &format!("-- no-transaction\n{INDEX}\nSELECT 1;"),
    );
    ledger.refuses(&expect!["database `ledger`: migration file `2_index.up.sql` failed: CREATE INDEX CONCURRENTLY cannot run inside a transaction block; a file with `-- no-transaction` can have one statement: give each a file of its own; what it did before that is kept"]);
    assert_eq!(ledger.applied(), [1]);
}

fn invalid_index_is_named() {
    let ledger = Ledger::new(&[(
        "2_twice.up.sql",
        "INSERT INTO entries (text) VALUES ('twice'), ('twice');",
    )]);
    ledger.migrate();
    ledger.write(
        "3_unique.up.sql",
        "-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY entries_once ON entries (text);",
    );
    ledger.refuses(&expect![[r#"database `ledger`: migration file `3_unique.up.sql` failed: could not create unique index "entries_once" (Key (text)=(twice) is duplicated.); what it did before that is kept, and the index entries_once is invalid: drop it before the next attempt"#]]);
    assert_eq!(ledger.applied(), [1, 2]);
}

/// One of them builds an index without blocking writers, which waits for every older snapshot in the database: those
/// of the others, if they waited inside the server.
fn eight_processes_at_once() {
    let ledger = Ledger::new(&[
        ("2_two.up.sql", "CREATE TABLE two ();"),
        ("3_index.up.sql", &format!("-- no-transaction\n{INDEX}")),
        (
            "4_four.up.sql",
            "INSERT INTO entries (text) VALUES ('once');",
        ),
    ]);
    // The server runs already, so that all of them come to the migrations.
    let server = ledger.server();
    let processes: Vec<_> = (0..8)
        .map(|_| ledger.start().with("UNDERLAY_TASK", "migrate").spawn())
        .collect();
    let mut applied = 0;
    for process in processes {
        let ended = process.ended();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.output);
        applied += ended.output.matches("ledger: applied ").count();
    }
    assert_eq!(applied, 4, "each file by one process");
    let rows: i64 = server.value("SELECT count(*) FROM entries");
    assert_eq!(rows, 1);
    assert_eq!(ledger.applied(), [1, 2, 3, 4]);
}

fn killed_halfway() {
    let ledger = Ledger::new(&[]);
    ledger.migrate();
    // The test holds the lock that the second statement waits for.
    ledger.write(
        "2_two.up.sql",
        "CREATE TABLE two ();\nSELECT pg_advisory_xact_lock(4711);\nINSERT INTO entries (text) VALUES ('late');",
    );
    let server = ledger.server();
    let lock = server.hold_lock(4711);
    let application = ledger.start().spawn();
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    eventually("the migration waits in its second statement", || {
        (server.value::<i64>(waiting) == 1).then_some(())
    });
    application.kill();
    drop(lock);
    // The server notices that nobody is there any more, and takes everything back.
    eventually("the server has ended the session", || {
        let sessions =
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'underlay migrations'";
        (server.value::<i64>(sessions) == 0).then_some(())
    });
    let applied: i64 = server.value("SELECT count(*) FROM _sqlx_migrations");
    let is_gone: bool = server.value("SELECT to_regclass('two') IS NULL");
    if applied == 1 {
        assert!(is_gone, "nothing of it was kept");
    }
    ledger.migrate();
    assert_eq!(ledger.applied(), [1, 2]);
    let rows: i64 = server.value("SELECT count(*) FROM entries");
    assert_eq!(rows, 1, "it was applied once");
}

/// The infra config of a deployment, on the server of a local run.
fn config(ledger: &Ledger, server: &Server, migrations: &str) -> String {
    let config = &server.provisioned.config;
    let servers = serde_json::to_value(&config.sql_servers).unwrap();
    let config = serde_json::json!({ "sql_servers": servers, "migrations": migrations });
    let path = ledger.folder.write("infra.json", &config.to_string());
    path.display().to_string()
}

fn job() {
    let ledger = Ledger::new(&[]);
    let server = ledger.server();
    let infra = config(&ledger, &server, "job");
    let start = || ledger.start().with("UNDERLAY_INFRA", &infra);
    expect!["database `ledger`: not applied yet: 1_create_entries.up.sql; run the migration job first, which is this binary with UNDERLAY_TASK=migrate"].assert_eq(&start().refusal());
    let job = || start().with("UNDERLAY_TASK", "migrate").spawn().ended();
    let first = job();
    assert_eq!(first.status.code(), Some(0), "{}", first.output);
    assert!(
        first
            .output
            .contains("ledger: applied 1_create_entries.up.sql in "),
        "{}",
        first.output
    );
    let second = job();
    assert_eq!(second.status.code(), Some(0), "{}", second.output);
    assert!(
        second.output.contains("ledger: nothing to apply"),
        "{}",
        second.output
    );
    let application = start().serve();
    assert_eq!(application.get("/entries/count").text(), "0");
    application.stop();
}

fn off() {
    let ledger = Ledger::new(&[]);
    let server = ledger.server();
    let infra = config(&ledger, &server, "off");
    let start = || ledger.start().with("UNDERLAY_INFRA", &infra);
    expect!["infra config: migrations: `off` says that this binary applies none; say `job`, or leave UNDERLAY_TASK=migrate away"].assert_eq(&start().with("UNDERLAY_TASK", "migrate").refusal());
    start().serve().stop();
    let untouched: bool = server.value("SELECT to_regclass('_sqlx_migrations') IS NULL");
    assert!(untouched);
}

fn seed() {
    let ledger = Ledger::new(&[]);
    let ended = ledger.start().with("UNDERLAY_TASK", "seed").spawn().ended();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.output);
    assert!(
        ended.output.contains("ledger::two_entries: done"),
        "{}",
        ended.output
    );
    let rows: i64 = ledger.server().value("SELECT count(*) FROM entries");
    assert_eq!(rows, 2);
}

fn unknown_task() {
    let ledger = Ledger::new(&[]);
    let error = ledger.start().with("UNDERLAY_TASK", "migrat").refusal();
    expect!["UNDERLAY_TASK is `migrat`; there are `migrate`, `seed` and `dead-letters`, and without it the application starts"].assert_eq(&error);
}

fn by_the_migrator() {
    let ledger = Ledger::new(&[]);
    ledger.migrate();
    let server = ledger.server();
    let owner: String =
        server.value("SELECT tableowner::text FROM pg_tables WHERE tablename = 'entries'");
    let database = &server.provisioned.config.sql_servers[0].databases["ledger"];
    assert_eq!(
        Some(owner),
        database.migrator.as_ref().map(|it| it.username.clone())
    );
    for (table, privilege, expected) in [
        ("entries", "INSERT", true),
        ("entries", "DELETE", true),
        ("entries", "TRUNCATE", false),
        ("_sqlx_migrations", "SELECT", true),
        ("_sqlx_migrations", "UPDATE", false),
    ] {
        let has: bool = server.value_of(
            "SELECT has_table_privilege($1, $2, $3)",
            &[&database.username, table, privilege],
        );
        assert_eq!(has, expected, "{privilege} on {table}");
    }
}
