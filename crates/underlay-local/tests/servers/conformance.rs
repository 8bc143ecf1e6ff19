//! What an application may rely on whatever rung its database comes from: one list of cases, run on each rung.
//!
//! At the end a table says which case held where.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use libtest_mimic::{Completion, Trial};

use crate::{
    application::{Folder, Start, Up},
    docker, managed, native,
    plain::{Plain, ROLE},
};

/// A rung with what it needs to stand on.
enum Rung {
    Docker,
    Native,
    /// The mirror's address, and a cache for all cases.
    Managed(Arc<Mirror>),
    Url(Plain),
}

impl Rung {
    fn application<'a>(&self, folder: &'a Folder) -> Start<'a> {
        match self {
            Self::Docker => docker::start(folder),
            Self::Native => folder.application().with("UNDERLAY_POSTGRES", "native"),
            Self::Managed(mirror) => folder
                .application()
                .with("UNDERLAY_POSTGRES", "managed")
                .with("UNDERLAY_CACHE", mirror.cache.to_str().unwrap())
                .with("UNDERLAY_POSTGRES_URL", &*mirror.address),
            Self::Url(server) => folder
                .application()
                .with("UNDERLAY_POSTGRES", server.url(ROLE)),
        }
    }
}

/// A rung's name, the suite that can be required, why it cannot be tested here, and how it is prepared.
type Ground = (&'static str, &'static str, Option<String>, fn() -> Rung);

/// A case: what must hold, and how it is seen. An error is the reason why there is nothing to be seen.
type Case = (&'static str, fn(&Rung, &Folder) -> Result<(), String>);

const CASES: &[Case] = &[
    (
        "databases are empty and the migrator's",
        databases_are_empty_and_the_migrators,
    ),
    (
        "the service reads and writes rows",
        the_service_reads_and_writes_rows,
    ),
    (
        "the service uses sequences, functions and types",
        the_service_uses_sequences_functions_and_types,
    ),
    (
        "the service changes no structure",
        the_service_changes_no_structure,
    ),
    ("nobody else may enter", nobody_else_may_enter),
    (
        "a second start changes nothing",
        a_second_start_changes_nothing,
    ),
    (
        "namespaces do not see each other",
        namespaces_do_not_see_each_other,
    ),
    ("recreating empties", recreating_empties),
    (
        "a test's clone is as its template",
        a_tests_clone_is_as_its_template,
    ),
    (
        "a trusted extension can be created",
        a_trusted_extension_can_be_created,
    ),
    ("passwords are not shown", passwords_are_not_shown),
];

fn grounds() -> Vec<Ground> {
    let no_binaries = native::installed()
        .is_none()
        .then(|| "no PostgreSQL server binaries under /usr/lib/postgresql".to_owned());
    vec![
        ("docker", "docker", docker::absent(), || Rung::Docker),
        ("native", "native", no_binaries.clone(), || Rung::Native),
        ("managed", "managed", managed::absent(), || {
            Rung::Managed(mirror())
        }),
        ("url", "native", no_binaries, || Rung::Url(Plain::new())),
    ]
}

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (rung, suite, absent, prepare) in grounds() {
        for &(case, check) in CASES {
            let title = format!(
                "conformance::{rung}::{}",
                case.replace(' ', "_").replace([',', '\''], "")
            );
            let run = move || {
                record(case, rung, "NO");
                let completion = match check(&prepare(), &Folder::new()) {
                    Ok(()) => {
                        record(case, rung, "yes");
                        Completion::Completed
                    }
                    Err(reason) => {
                        record(case, rung, &format!("ignored: {reason}"));
                        Completion::ignored_with(reason)
                    }
                };
                Ok(completion)
            };
            trials.push(crate::trial(suite, title, &absent, run));
        }
    }
    trials
}

static RESULTS: Mutex<BTreeMap<(&str, &str), String>> = Mutex::new(BTreeMap::new());

fn record(case: &'static str, rung: &'static str, result: &str) {
    let mut results = RESULTS.lock().unwrap();
    results.insert((case, rung), result.to_owned());
}

/// Prints the table of what was seen, if anything was, and removes what all cases shared.
pub(crate) fn finish() {
    MIRROR.lock().unwrap().take();
    let results = RESULTS.lock().unwrap();
    if results.is_empty() {
        return;
    }
    let grounds = grounds();
    let mut notes = Vec::new();
    print!("{:<50}", "conformance");
    for (rung, ..) in &grounds {
        print!("{rung:<10}");
    }
    println!();
    for &(case, _) in CASES {
        print!("{case:<50}");
        for (rung, _, absent, _) in &grounds {
            let result = match (results.get(&(case, *rung)), absent) {
                (Some(result), _) => result.clone(),
                (None, Some(reason)) => format!("ignored: {reason}"),
                (None, None) => "not run".to_owned(),
            };
            let (word, reason) = result.split_once(": ").unwrap_or((&result, ""));
            print!("{word:<10}");
            let note = format!("{rung}: ignored: {reason}");
            if !reason.is_empty() && !notes.contains(&note) {
                notes.push(note);
            }
        }
        println!();
    }
    for note in notes {
        println!("{note}");
    }
    println!();
}

/// What the managed rung downloads from, and where to.
struct Mirror {
    address: String,
    cache: PathBuf,
    _folder: Folder,
}

static MIRROR: Mutex<Option<Arc<Mirror>>> = Mutex::new(None);

fn mirror() -> Arc<Mirror> {
    let mut shared = MIRROR.lock().unwrap();
    let mirror = shared.get_or_insert_with(|| {
        let folder = Folder::new();
        Arc::new(Mirror {
            address: managed::serve(managed::mirror(&folder)),
            cache: folder.checkout.root.join("cache"),
            _folder: folder,
        })
    });
    Arc::clone(mirror)
}

/// Runs a statement that has to work.
#[track_caller]
fn run(up: &mut Up, role: &str, database: &str, sql: &str) -> Vec<String> {
    up.query_as(role, database, sql)
        .unwrap_or_else(|error| panic!("{role}: {sql}: {error}"))
}

/// Runs a statement that the server has to refuse, for want of rights.
#[track_caller]
fn refused(up: &mut Up, role: &str, database: &str, sql: &str) {
    let error = match up.query_as(role, database, sql) {
        Err(error) => error,
        Ok(rows) => panic!("{role} was allowed: {sql}: {rows:?}"),
    };
    assert!(
        error.contains("permission denied") || error.contains("must be owner"),
        "{role}: {sql}: {error}"
    );
}

fn databases_are_empty_and_the_migrators(rung: &Rung, folder: &Folder) -> Result<(), String> {
    let mut up = rung
        .application(folder)
        .databases(&["orders", "users"])
        .provision();
    let (migrator, service) = (
        up.role("migrator", "username"),
        up.role("service", "username"),
    );
    for database in ["orders", "users"] {
        let owners = "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = current_database() \
                      UNION ALL SELECT pg_get_userbyid(nspowner)::text FROM pg_namespace WHERE nspname = 'public'";
        assert_eq!(up.query(database, owners), [&*migrator, &*migrator]);
        let objects = "SELECT relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                       WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'";
        assert!(up.query(database, objects).is_empty());
    }
    let attributes = |role: &str| {
        format!(
            "SELECT concat_ws(' ', rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls) \
             FROM pg_roles WHERE rolname = '{role}'"
        )
    };
    assert_eq!(up.query("orders", &attributes(&migrator)), ["t f t t f f"]);
    assert_eq!(up.query("orders", &attributes(&service)), ["t f f f f f"]);
    Ok(())
}

fn the_service_reads_and_writes_rows(rung: &Rung, folder: &Folder) -> Result<(), String> {
    let mut up = rung.application(folder).provision();
    run(&mut up, "migrator", "orders", "CREATE SCHEMA archive");
    for table in ["items", "archive.items"] {
        let create = format!(
            "CREATE TABLE {table} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, x text)"
        );
        run(&mut up, "migrator", "orders", &create);
        for (sql, expected) in [
            (
                format!("INSERT INTO {table} (x) VALUES ('a'), ('b') RETURNING x"),
                vec!["a", "b"],
            ),
            (
                format!("UPDATE {table} SET x = 'c' WHERE x = 'a' RETURNING x"),
                vec!["c"],
            ),
            (
                format!("DELETE FROM {table} WHERE x = 'b' RETURNING x"),
                vec!["b"],
            ),
            (format!("SELECT x FROM {table}"), vec!["c"]),
        ] {
            assert_eq!(run(&mut up, "service", "orders", &sql), expected, "{sql}");
        }
    }
    let view = "CREATE VIEW archive.names AS SELECT x FROM archive.items";
    run(&mut up, "migrator", "orders", view);
    let rows = run(&mut up, "service", "orders", "SELECT x FROM archive.names");
    assert_eq!(rows, ["c"]);
    let temporary = "CREATE TEMPORARY TABLE scratch AS SELECT 'a' AS x";
    run(&mut up, "service", "orders", temporary);
    Ok(())
}

fn the_service_uses_sequences_functions_and_types(
    rung: &Rung,
    folder: &Folder,
) -> Result<(), String> {
    let mut up = rung.application(folder).provision();
    for sql in [
        "CREATE SCHEMA shop",
        "CREATE SEQUENCE shop.numbers",
        "CREATE TYPE shop.size AS ENUM ('small', 'large')",
        "CREATE TABLE shop.items (number bigserial, size shop.size)",
        "CREATE FUNCTION shop.double(n bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 2 * n'",
    ] {
        run(&mut up, "migrator", "orders", sql);
    }
    for (sql, expected) in [
        ("SELECT nextval('shop.numbers')::text", "1"),
        ("SELECT setval('shop.numbers', 41)::text", "41"),
        ("SELECT shop.double(nextval('shop.numbers'))::text", "84"),
        (
            "INSERT INTO shop.items (size) VALUES ('large') RETURNING number::text",
            "1",
        ),
        ("SELECT 'small'::shop.size::text", "small"),
    ] {
        assert_eq!(run(&mut up, "service", "orders", sql), [expected], "{sql}");
    }
    Ok(())
}

fn the_service_changes_no_structure(rung: &Rung, folder: &Folder) -> Result<(), String> {
    let mut up = rung.application(folder).provision();
    for sql in [
        "CREATE SCHEMA shop",
        "CREATE TABLE t (x text)",
        "CREATE TABLE shop.t (x text)",
    ] {
        run(&mut up, "migrator", "orders", sql);
    }
    for sql in [
        "CREATE TABLE u (x text)",
        "CREATE TABLE shop.u (x text)",
        "CREATE SCHEMA mine",
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE INDEX ON t (x)",
        "ALTER TABLE t ADD COLUMN y text",
        "ALTER TABLE shop.t RENAME TO v",
        "DROP TABLE t",
        "DROP TABLE shop.t",
        "DROP SCHEMA shop CASCADE",
        "TRUNCATE t",
        "TRUNCATE shop.t",
        "CREATE ROLE another",
        "CREATE DATABASE another",
        "DROP DATABASE orders",
    ] {
        refused(&mut up, "service", "orders", sql);
    }
    Ok(())
}

fn nobody_else_may_enter(rung: &Rung, folder: &Folder) -> Result<(), String> {
    let mut up = rung.application(folder).provision();
    up.query("orders", "CREATE ROLE stranger LOGIN PASSWORD 'stranger'");
    refused(&mut up, "stranger", "orders", "SELECT 'in'");
    assert_eq!(run(&mut up, "service", "orders", "SELECT 'in'"), ["in"]);
    let connect = "SELECT has_database_privilege('public', 'orders', privilege)::text \
                   FROM unnest('{CONNECT, TEMPORARY, CREATE}'::text[]) privilege";
    assert_eq!(up.query("orders", connect), ["false", "false", "false"]);
    Ok(())
}

fn a_second_start_changes_nothing(rung: &Rung, folder: &Folder) -> Result<(), String> {
    let mut up = rung.application(folder).provision();
    run(&mut up, "migrator", "orders", "CREATE TABLE t (x text)");
    run(
        &mut up,
        "service",
        "orders",
        "INSERT INTO t VALUES ('kept')",
    );
    // The transaction that last wrote the database's row, and with it the rights.
    let written = "SELECT xmin::text FROM pg_database WHERE datname = 'orders'";
    let (row, config) = (
        up.query("postgres", written),
        up.answer["config"]["sql_servers"][0]["databases"].clone(),
    );
    drop(up);
    let mut up = rung.application(folder).provision();
    assert_eq!(up.query("postgres", written), row);
    assert_eq!(up.answer["config"]["sql_servers"][0]["databases"], config);
    let rows = run(&mut up, "service", "orders", "SELECT x FROM t");
    assert_eq!(rows, ["kept"]);
    run(&mut up, "migrator", "orders", "ALTER TABLE t ADD y text");
    Ok(())
}

fn namespaces_do_not_see_each_other(rung: &Rung, folder: &Folder) -> Result<(), String> {
    let mut one = rung.application(folder).provision();
    let mut two = rung
        .application(folder)
        .with("UNDERLAY_NAMESPACE", "pr-12")
        .provision();
    let place = "/config/sql_servers/0/databases/orders/name";
    let name = match two.answer.pointer(place) {
        Some(name) => name.as_str().unwrap().to_owned(),
        None => "orders".to_owned(),
    };
    run(&mut one, "migrator", "orders", "CREATE TABLE t (x text)");
    let tables = "SELECT count(*)::text FROM pg_tables WHERE tablename = 't'";
    assert_eq!(run(&mut two, "service", &name, tables), ["0"]);
    if one.host() == two.host() {
        for role in ["service", "migrator"] {
            refused(&mut one, role, &name, "SELECT 'in'");
            refused(&mut two, role, "orders", "SELECT 'in'");
        }
    }
    Ok(())
}

fn recreating_empties(rung: &Rung, folder: &Folder) -> Result<(), String> {
    let mut up = rung
        .application(folder)
        .databases(&["orders", "users"])
        .provision();
    for database in ["orders", "users"] {
        run(&mut up, "migrator", database, "CREATE TABLE t (x text)");
    }
    up.recreate(&["orders"]).unwrap();
    let tables = "SELECT count(*)::text FROM pg_tables WHERE tablename = 't'";
    assert_eq!(run(&mut up, "service", "orders", tables), ["0"]);
    assert_eq!(run(&mut up, "service", "users", tables), ["1"]);
    run(&mut up, "migrator", "orders", "CREATE TABLE t (x text)");
    run(&mut up, "service", "orders", "INSERT INTO t VALUES ('a')");
    refused(&mut up, "service", "orders", "DROP TABLE t");
    assert_eq!(
        up.recreate(&["users", "odrers"]).unwrap_err(),
        "there is no database `odrers`; declared are `orders`, `users`"
    );
    assert_eq!(run(&mut up, "service", "users", tables), ["1"]);
    Ok(())
}

fn a_tests_clone_is_as_its_template(rung: &Rung, folder: &Folder) -> Result<(), String> {
    let mut up = rung.application(folder).test().provision();
    let template = up
        .template("orders 1", "CREATE TABLE t AS SELECT 'migrated' AS x")
        .unwrap();
    let clone = up.clone_database(&template);
    let rows = run(&mut up, "service", &clone, "SELECT x FROM t");
    assert_eq!(rows, ["migrated"]);
    run(&mut up, "service", &clone, "INSERT INTO t VALUES ('more')");
    refused(&mut up, "service", &clone, "TRUNCATE t");
    refused(&mut up, "service", &clone, "CREATE TABLE u (x text)");
    run(&mut up, "migrator", &clone, "CREATE TABLE u (x text)");
    run(&mut up, "service", &clone, "INSERT INTO u VALUES ('a')");
    up.drop_database(&clone).unwrap();
    Ok(())
}

fn a_trusted_extension_can_be_created(rung: &Rung, folder: &Folder) -> Result<(), String> {
    let mut up = rung.application(folder).provision();
    let offered = "SELECT name::text FROM pg_available_extensions WHERE name = 'pgcrypto'";
    if up.query("orders", offered).is_empty() {
        return Err("the server's binaries have no pgcrypto".to_owned());
    }
    run(&mut up, "migrator", "orders", "CREATE EXTENSION pgcrypto");
    let digest = "SELECT encode(digest('a', 'sha1'), 'hex')";
    let rows = run(&mut up, "service", "orders", digest);
    assert_eq!(rows, ["86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"]);
    Ok(())
}

fn passwords_are_not_shown(rung: &Rung, folder: &Folder) -> Result<(), String> {
    let mut up = rung.application(folder).test().provision();
    let mut shown = vec![
        up.debug(),
        up.answer["events"].to_string(),
        up.answer["postgres"].to_string(),
        up.template("orders", "CREATE TABLE t (x nonsense)")
            .unwrap_err(),
        up.recreate(&["odrers"]).unwrap_err(),
        up.drop_database("postgres").unwrap_err(),
    ];
    let mut passwords = vec![
        up.role("service", "password"),
        up.role("migrator", "password"),
    ];
    for entry in fs::read_dir(folder.state("default")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "password") {
            passwords.push(fs::read_to_string(path).unwrap().trim().to_owned());
        }
    }
    if let Rung::Url(server) = rung {
        // The role and its password are one word otherwise, and the name is shown.
        server.run("postgres", "ALTER ROLE dev PASSWORD 'hidden'");
        shown.push(rung.application(&Folder::new()).refusal());
        let url = server.url(ROLE).replace(":dev@", ":hidden@");
        let mut up = folder
            .application()
            .with("UNDERLAY_POSTGRES", url)
            .provision();
        shown.extend([up.debug(), up.answer["events"].to_string()]);
        passwords.push("hidden".to_owned());
    }
    // Where the socket's folder is the protection there are none.
    let has_passwords = matches!(rung, Rung::Docker | Rung::Url(_));
    assert_eq!(passwords.iter().any(|it| !it.is_empty()), has_passwords);
    for password in passwords.iter().filter(|it| !it.is_empty()) {
        for text in &shown {
            assert!(!text.contains(password.as_str()), "{text}");
        }
    }
    Ok(())
}
