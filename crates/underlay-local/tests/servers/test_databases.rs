//! Databases per test: templates, clones, and what is left of those who did not clean up.

use libtest_mimic::Trial;

use crate::{
    application::{Folder, Up},
    native,
};

pub(crate) fn trials() -> Vec<Trial> {
    let absent = native::installed()
        .is_none()
        .then(|| "no PostgreSQL server binaries under /usr/lib/postgresql".to_owned());
    crate::suite(
        "test_databases",
        absent,
        &[
            ("clones_are_apart", clones_are_apart),
            (
                "a_template_is_built_once_by_many_processes",
                a_template_is_built_once_by_many_processes,
            ),
            (
                "a_template_that_cannot_be_built_is_not_kept",
                a_template_that_cannot_be_built_is_not_kept,
            ),
            (
                "what_a_killed_process_left_is_removed",
                what_a_killed_process_left_is_removed,
            ),
            (
                "only_own_clones_can_be_dropped",
                only_own_clones_can_be_dropped,
            ),
        ],
    )
}

fn start(folder: &Folder) -> Up {
    folder
        .application()
        .test()
        .with("UNDERLAY_POSTGRES", "native")
        .provision()
}

fn databases(up: &mut Up) -> Vec<String> {
    up.query(
        "postgres",
        "SELECT datname::text FROM pg_database WHERE datname LIKE 'underlay\\_%' ORDER BY 1",
    )
}

fn clones_are_apart() {
    let folder = Folder::new();
    let mut up = start(&folder);
    let template = up
        .template("orders 1", "CREATE TABLE t AS SELECT 'migrated' AS x")
        .unwrap();
    assert_eq!(
        up.template("orders 1", "this is not built again").unwrap(),
        template
    );
    assert_ne!(
        up.template("orders 2", "CREATE TABLE u (x text)").unwrap(),
        template
    );
    let (one, two) = (up.clone_database(&template), up.clone_database(&template));
    up.query(&one, "UPDATE t SET x = 'changed'");
    assert_eq!(up.query(&one, "SELECT x FROM t"), ["changed"]);
    assert_eq!(up.query(&two, "SELECT x FROM t"), ["migrated"]);
    up.drop_database(&one).unwrap();
    assert!(!databases(&mut up).contains(&one));
}

fn a_template_is_built_once_by_many_processes() {
    let folder = Folder::new();
    let mut up: Vec<Up> = (0..4).map(|_| start(&folder)).collect();
    // A second build would fail, because a role belongs to the whole server.
    up.iter_mut()
        .for_each(|it| it.begin_template("shared", "CREATE ROLE built_once"));
    let templates: Vec<_> = up.iter_mut().map(|it| it.receive().unwrap()).collect();
    assert!(
        templates.iter().all(|it| *it == templates[0]),
        "{templates:?}"
    );
}

fn a_template_that_cannot_be_built_is_not_kept() {
    let folder = Folder::new();
    let mut up = start(&folder);
    let error = up
        .template("orders", "CREATE TABLE t (x nonsense)")
        .unwrap_err();
    assert!(
        error.starts_with("cannot build the test database of orders: "),
        "{error}"
    );
    assert!(
        error.contains("type \"nonsense\" does not exist"),
        "{error}"
    );
    assert!(databases(&mut up).is_empty());
    up.template("orders", "CREATE TABLE t (x text)").unwrap();
}

fn what_a_killed_process_left_is_removed() {
    let folder = Folder::new();
    let (mut killed, mut alive) = (start(&folder), start(&folder));
    let template = killed
        .template("orders", "CREATE TABLE t (x text)")
        .unwrap();
    let (left, kept) = (
        killed.clone_database(&template),
        alive.clone_database(&template),
    );
    killed.kill();
    let mut next = start(&folder);
    // The server notices the end of the connection on its own; until then the owner counts as alive.
    crate::application::eventually("the clone of the killed process is removed", || {
        let mut another = start(&folder);
        another
            .template("orders", "this is not built again")
            .unwrap();
        !databases(&mut next).contains(&left)
    });
    assert!(databases(&mut next).contains(&kept));
    assert!(databases(&mut next).contains(&template));
}

fn only_own_clones_can_be_dropped() {
    let folder = Folder::new();
    let (mut one, mut two) = (start(&folder), start(&folder));
    let template = one.template("orders", "CREATE TABLE t (x text)").unwrap();
    let name = one.clone_database(&template);
    assert_eq!(
        two.drop_database(&name).unwrap_err(),
        format!("`{name}` is no test database of this process")
    );
    assert_eq!(
        two.drop_database("postgres").unwrap_err(),
        "`postgres` is no test database of this process"
    );
}
