//! The url rung: what is done on a server of the user's, and above all what is not.

use std::fs;

use libtest_mimic::Trial;

use crate::{
    application::{Folder, Start, Up},
    docker, native,
    plain::{Plain, ROLE},
};

pub(crate) fn trials() -> Vec<Trial> {
    let absent = native::installed()
        .is_none()
        .then(|| "no PostgreSQL server binaries under /usr/lib/postgresql".to_owned());
    let mut trials = crate::suite(
        "native",
        absent,
        &[
            ("url_a_superuser_is_as_good", url_a_superuser_is_as_good),
            (
                "url_a_role_without_rights_is_used_for_both",
                url_a_role_without_rights_is_used_for_both,
            ),
            (
                "url_roles_that_cannot_log_in_are_not_used",
                url_roles_that_cannot_log_in_are_not_used,
            ),
            (
                "url_databases_of_others_are_left_alone",
                url_databases_of_others_are_left_alone,
            ),
            (
                "url_a_lost_state_folder_is_mended",
                url_a_lost_state_folder_is_mended,
            ),
            (
                "url_a_half_made_database_is_finished",
                url_a_half_made_database_is_finished,
            ),
            ("url_many_starters_at_once", url_many_starters_at_once),
        ],
    );
    trials.extend(crate::suite(
        "docker",
        docker::absent(),
        &[(
            "url_a_cloud_like_role_of_a_newer_version",
            url_a_cloud_like_role_of_a_newer_version,
        )],
    ));
    trials
}

fn start<'a>(folder: &'a Folder, server: &Plain, role: &str) -> Start<'a> {
    folder
        .application()
        .with("UNDERLAY_POSTGRES", server.url(role))
}

/// What was said, beside which server it is.
fn notices(up: &Up) -> Vec<String> {
    let events = up.answer["events"].as_array().unwrap().iter();
    let texts = events.map(|it| it.as_str().unwrap().to_owned());
    texts.filter(|it| it.starts_with("Notice")).collect()
}

fn has_migrator(up: &Up) -> bool {
    let database = &up.answer["config"]["sql_servers"][0]["databases"]["orders"];
    database.get("migrator").is_some()
}

fn roles(up: &mut Up) -> Vec<String> {
    up.query(
        "postgres",
        "SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'underlay%' ORDER BY 1",
    )
}

fn is_refused(answer: Result<Vec<String>, String>) {
    let error = answer.unwrap_err();
    assert!(error.contains("permission denied"), "{error}");
}

fn url_a_superuser_is_as_good() {
    let (server, folder) = (Plain::new(), Folder::new());
    let mut up = start(&folder, &server, "superuser").provision();
    assert!(notices(&up).is_empty(), "{:?}", notices(&up));
    up.query_as("migrator", "orders", "CREATE TABLE t (x text)")
        .unwrap();
    up.query_as("service", "orders", "INSERT INTO t VALUES ('a')")
        .unwrap();
    is_refused(up.query_as("service", "orders", "CREATE TABLE u (x text)"));
}

fn url_a_role_without_rights_is_used_for_both() {
    for (attributes, lack) in [
        ("CREATEDB", "it has no CREATEROLE"),
        ("CREATEROLE", "it has no CREATEDB"),
    ] {
        let (server, folder) = (Plain::new(), Folder::new());
        let create = format!("CREATE ROLE modest LOGIN {attributes} PASSWORD 'modest'");
        server.run("postgres", &create);
        if lack.contains("CREATEDB") {
            server.run("postgres", "CREATE DATABASE orders OWNER modest");
        }
        let mut up = start(&folder, &server, "modest").provision();
        let notices = notices(&up);
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert!(notices[0].contains(lack), "{notices:?}");
        assert!(!has_migrator(&up));
        assert_eq!(up.role("service", "username"), "modest");
        up.query_as("service", "orders", "CREATE TABLE t (x text)")
            .unwrap();
        assert!(roles(&mut up).is_empty());
        let error = up.recreate(&["orders"]).unwrap_err();
        assert!(
            error.starts_with("the database `orders` on ") && error.contains("is left alone"),
            "{error}"
        );
        assert_eq!(up.query("orders", "SELECT count(*)::text FROM t"), ["0"]);
    }
}

fn url_roles_that_cannot_log_in_are_not_used() {
    let (server, folder) = (Plain::new(), Folder::new());
    // As where the server knows its users from elsewhere.
    let access = format!("local all {ROLE},superuser scram-sha-256\n");
    fs::write(server.root().join("data/pg_hba.conf"), access).unwrap();
    server.run("postgres", "SELECT pg_reload_conf()");
    let mut up = start(&folder, &server, ROLE).provision();
    let notices = notices(&up);
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(
        notices[0].contains("they cannot log in: no pg_hba.conf entry"),
        "{notices:?}"
    );
    assert!(!has_migrator(&up));
    assert!(roles(&mut up).is_empty());
    assert_eq!(up.query("orders", "SELECT 'up'"), ["up"]);
}

fn url_databases_of_others_are_left_alone() {
    let (server, folder) = (Plain::new(), Folder::new());
    server.run("postgres", &format!("CREATE DATABASE orders OWNER {ROLE}"));
    server.run("orders", "CREATE TABLE kept AS SELECT 'kept' AS x");
    let again = || {
        start(&folder, &server, ROLE)
            .databases(&["orders", "users"])
            .provision()
    };
    for mut up in [again(), again()] {
        let notices = notices(&up);
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert!(
            notices[0].contains(&format!(
                "so used as {ROLE} with all its rights: the database `orders`"
            )),
            "{notices:?}"
        );
        assert!(!has_migrator(&up));
        assert_eq!(up.role("service", "username"), ROLE);
        let acl =
            "SELECT coalesce(datacl::text, 'untouched') FROM pg_database WHERE datname = 'orders'";
        assert_eq!(up.query("postgres", acl), ["untouched"]);
        assert_eq!(
            up.text("/config/sql_servers/0/databases/users/migrator/username"),
            format!("underlay_{}_migrator", folder.checkout.id)
        );
        let error = up.recreate(&["users", "orders"]).unwrap_err();
        assert!(
            error.starts_with("the database `orders` on ") && error.ends_with("empty it yourself"),
            "{error}"
        );
        up.recreate(&["users"]).unwrap();
    }
    server.run("orders", "SELECT x FROM kept");
}

fn url_a_lost_state_folder_is_mended() {
    let (server, folder) = (Plain::new(), Folder::new());
    let mut up = start(&folder, &server, ROLE).provision();
    up.query_as("migrator", "orders", "CREATE TABLE t (x text)")
        .unwrap();
    let password = up.role("service", "password");
    drop(up);
    let path = folder.state("default/postgres-url.password");
    assert_eq!(
        crate::application::output("stat", &["-c", "%a", path.to_str().unwrap()]).trim(),
        "600"
    );
    fs::remove_dir_all(&folder.checkout.state).unwrap();
    let mut up = start(&folder, &server, ROLE).provision();
    assert_ne!(up.role("service", "password"), password);
    let notices = notices(&up);
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].contains("are new ones now"), "{notices:?}");
    let count = "SELECT count(*)::text FROM t";
    assert_eq!(up.query_as("service", "orders", count).unwrap(), ["0"]);
}

fn url_a_half_made_database_is_finished() {
    let (server, folder) = (Plain::new(), Folder::new());
    drop(
        start(&folder, &server, ROLE)
            .databases(&["users"])
            .provision(),
    );
    // As when the first start was killed right after the first statement.
    let owner = format!("underlay_{}_migrator", folder.checkout.id);
    server.run(
        "postgres",
        &format!("CREATE DATABASE orders OWNER \"{owner}\""),
    );
    let mut up = start(&folder, &server, ROLE).provision();
    up.query_as("migrator", "orders", "CREATE TABLE t (x text)")
        .unwrap();
    up.query_as("service", "orders", "INSERT INTO t VALUES ('a')")
        .unwrap();
    is_refused(up.query_as("service", "orders", "CREATE TABLE u (x text)"));
}

fn url_many_starters_at_once() {
    let (server, here, there) = (Plain::new(), Folder::new(), Folder::new());
    let starting: Vec<_> = [&here, &there, &here, &there]
        .map(|folder| {
            let name = if folder.checkout == here.checkout {
                "here"
            } else {
                "there"
            };
            start(folder, &server, ROLE).databases(&[name]).spawn()
        })
        .into();
    let up: Vec<_> = starting.into_iter().map(|it| it.provisioned()).collect();
    for (mut up, name) in up.into_iter().zip(["here", "there", "here", "there"]) {
        assert_eq!(up.query_as("service", name, "SELECT 'up'").unwrap(), ["up"]);
    }
}

fn url_a_cloud_like_role_of_a_newer_version() {
    // From version 16 on, who creates a role may grant it, and is not a member until that is done.
    let (server, folder) = (Folder::new(), Folder::new());
    let mut owner = docker::start(&server).provision();
    let create = "CREATE ROLE cloud LOGIN CREATEROLE CREATEDB PASSWORD 'cloud'";
    owner.query("postgres", create);
    let url = format!("postgres://cloud:cloud@{}/postgres", owner.host());
    let start = || {
        folder
            .application()
            .databases(&["users"])
            .with("UNDERLAY_POSTGRES", &*url)
    };
    let mut up = start().provision();
    assert!(notices(&up).is_empty(), "{:?}", notices(&up));
    up.query_as("migrator", "users", "CREATE TABLE t (x text)")
        .unwrap();
    up.query_as("service", "users", "INSERT INTO t VALUES ('a')")
        .unwrap();
    is_refused(up.query_as("service", "users", "CREATE TABLE u (x text)"));
    is_refused(up.query_as("service", "users", "TRUNCATE t"));
    up.recreate(&["users"]).unwrap();
    up.query_as("migrator", "users", "CREATE TABLE t (x text)")
        .unwrap();
    let mut test = start().test().provision();
    let template = test
        .template("users", "CREATE TABLE t AS SELECT 'a' AS x")
        .unwrap();
    let clone = test.clone_database(&template);
    let rows = test.query_as("service", &clone, "SELECT x FROM t");
    assert_eq!(rows.unwrap(), ["a"]);
    test.drop_database(&clone).unwrap();
}
