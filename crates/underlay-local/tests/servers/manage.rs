//! Namespaces, and what `ps`, `down`, `reset` and `doctor` see and take away.

use std::{fs, sync::atomic::Ordering};

use libtest_mimic::Trial;
use underlay_local::{
    ErrorKind, Kind, Rung, Status, delete_namespace, doctor, down, namespace, ps, reset,
};

use crate::{
    application::{Folder, Up, output},
    docker, native,
};

pub(crate) fn trials() -> Vec<Trial> {
    let absent = native::installed()
        .is_none()
        .then(|| "no PostgreSQL server binaries under /usr/lib/postgresql".to_owned());
    let mut trials = crate::suite(
        "native",
        absent,
        &[
            (
                "ps_shows_what_runs_for_which_checkout",
                ps_shows_what_runs_for_which_checkout,
            ),
            ("down_spares_what_is_in_use", down_spares_what_is_in_use),
            ("reset_begins_afresh", reset_begins_afresh),
            (
                "namespaces_are_apart_and_can_be_deleted",
                namespaces_are_apart_and_can_be_deleted,
            ),
            ("doctor_sees_this_machine", doctor_sees_this_machine),
        ],
    );
    trials.extend(crate::suite(
        "docker",
        docker::absent(),
        &[
            (
                "down_removes_containers_and_keeps_data",
                down_removes_containers_and_keeps_data,
            ),
            ("reset_removes_volumes", reset_removes_volumes),
        ],
    ));
    trials
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn native_up(folder: &Folder) -> Up {
    folder
        .application()
        .with("UNDERLAY_POSTGRES", "native")
        .provision()
}

fn docker_up(folder: &Folder) -> Up {
    folder.uses_docker.store(true, Ordering::Relaxed);
    folder
        .application()
        .with("UNDERLAY_POSTGRES", "docker")
        .provision()
}

fn ps_shows_what_runs_for_which_checkout() {
    let (here, there) = (Folder::new(), Folder::new());
    let (one, _two) = (native_up(&here), native_up(&there));
    let servers = block_on(ps(Some(&here.checkout))).unwrap().servers;
    assert_eq!(servers.len(), 1, "{servers:?}");
    let server = &servers[0];
    assert_eq!(
        (server.application.as_str(), &server.root),
        ("shop", &here.checkout.root)
    );
    assert_eq!(
        (server.namespace.as_str(), server.kind, server.rung),
        ("default", Kind::Run, Rung::Native)
    );
    assert!(server.is_running);
    assert_eq!(server.address.as_deref(), Some(&*one.host()));
    let all = block_on(ps(None)).unwrap().servers;
    for folder in [&here, &there] {
        assert!(
            all.iter()
                .any(|server| server.checkout == folder.checkout.id),
            "{all:?}"
        );
    }
}

fn down_spares_what_is_in_use() {
    let folder = Folder::new();
    let mut up = native_up(&folder);
    let errors = block_on(down(&folder.checkout, None, false)).unwrap_err();
    assert_eq!(errors.0.len(), 1);
    assert_eq!(errors.0[0].kind(), ErrorKind::InUse);
    assert_eq!(
        errors.to_string(),
        format!(
            "an application is using the namespace `default` of {}; stop it first",
            folder.checkout.root.display()
        )
    );
    assert_eq!(up.query("orders", "SELECT 'there'"), ["there"]);
    let removed = block_on(down(&folder.checkout, None, true)).unwrap();
    assert!(
        removed
            .removed
            .iter()
            .any(|it| it.starts_with("postgres run (process ")),
        "{removed:?}"
    );
    assert!(
        block_on(ps(Some(&folder.checkout)))
            .unwrap()
            .servers
            .is_empty()
    );
}

fn reset_begins_afresh() {
    let folder = Folder::new();
    let mut up = native_up(&folder);
    up.query("orders", "CREATE TABLE t (x text)");
    let errors = block_on(reset(&folder.checkout, "default")).unwrap_err();
    assert_eq!(errors.0[0].kind(), ErrorKind::InUse);
    drop(up);
    fs::create_dir_all(folder.state("default/objects/uploads")).unwrap();
    fs::write(folder.state("default/topics.redb"), "").unwrap();
    block_on(reset(&folder.checkout, "default")).unwrap();
    let left: Vec<_> = fs::read_dir(folder.state("default"))
        .unwrap()
        .map(|it| it.unwrap().file_name())
        .collect();
    assert_eq!(left, ["use.lock"]);
    let mut up = native_up(&folder);
    assert_eq!(
        up.query(
            "orders",
            "SELECT count(*)::text FROM pg_tables WHERE tablename = 't'"
        ),
        ["0"]
    );
    let errors = block_on(reset(&folder.checkout, "defualt")).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "there is no namespace `defualt`; did you mean `default`? (to create it: cargo underlay namespace create defualt)"
    );
}

fn namespaces_are_apart_and_can_be_deleted() {
    let folder = Folder::new();
    namespace::create(&folder.checkout, "pr-12").unwrap();
    assert_eq!(
        namespace::create(&folder.checkout, "pr-12")
            .unwrap_err()
            .to_string(),
        "the namespace `pr-12` exists already; use it: cargo underlay namespace switch pr-12"
    );
    let mut default = native_up(&folder);
    default.query("orders", "CREATE TABLE t (x text)");
    namespace::switch(&folder.checkout, "pr-12").unwrap();
    let mut other = native_up(&folder);
    assert_eq!(other.text("/config/metadata/env_name"), "pr-12");
    assert_eq!(
        other.query(
            "orders",
            "SELECT count(*)::text FROM pg_tables WHERE tablename = 't'"
        ),
        ["0"]
    );
    assert_eq!(
        block_on(delete_namespace(&folder.checkout, "pr-12"))
            .unwrap_err()
            .to_string(),
        "the namespace `pr-12` is the active one; switch to another first: cargo underlay namespace switch default"
    );
    namespace::switch(&folder.checkout, "default").unwrap();
    assert_eq!(
        block_on(delete_namespace(&folder.checkout, "pr-12"))
            .unwrap_err()
            .0[0]
            .kind(),
        ErrorKind::InUse
    );
    drop(other);
    block_on(delete_namespace(&folder.checkout, "pr-12")).unwrap();
    assert!(!folder.state("pr-12").exists());
    assert_eq!(namespace::list(&folder.checkout).unwrap(), ["default"]);
    assert_eq!(
        default.query("orders", "SELECT count(*)::text FROM t"),
        ["0"]
    );
}

fn doctor_sees_this_machine() {
    let folder = Folder::new();
    let report = block_on(doctor(&folder.checkout, 4000));
    let names: Vec<_> = report
        .checks
        .iter()
        .map(|check| check.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "rustc",
            "cargo",
            "linker",
            "docker",
            "postgres",
            "managed postgres",
            "port",
            "disk"
        ]
    );
    let postgres = &report.checks[4];
    assert_eq!(postgres.status, Status::Ok);
    assert!(
        postgres
            .detail
            .contains(native::installed().unwrap().to_str().unwrap()),
        "{}",
        postgres.detail
    );
    for check in report.checks {
        assert_eq!(
            check.status == Status::Ok,
            check.advice.is_none(),
            "{check:?}"
        );
    }
}

fn down_removes_containers_and_keeps_data() {
    let folder = Folder::new();
    docker_up(&folder).query("orders", "CREATE TABLE t (x text)");
    let name = format!(
        "underlay-{}-{}-default",
        folder.checkout.name(),
        folder.checkout.id
    );
    let servers = block_on(ps(Some(&folder.checkout))).unwrap().servers;
    assert_eq!(
        (
            servers.len(),
            servers[0].name.as_str(),
            servers[0].is_running
        ),
        (1, name.as_str(), true)
    );
    let removed = block_on(down(&folder.checkout, Some("default"), false)).unwrap();
    assert_eq!(removed.removed, [format!("container {name}")]);
    assert!(
        block_on(ps(Some(&folder.checkout)))
            .unwrap()
            .servers
            .is_empty()
    );
    assert_eq!(
        docker_up(&folder).query("orders", "SELECT count(*)::text FROM t"),
        ["0"]
    );
}

fn reset_removes_volumes() {
    let folder = Folder::new();
    docker_up(&folder).query("orders", "CREATE TABLE t (x text)");
    block_on(reset(&folder.checkout, "default")).unwrap();
    let label = format!("label=dev.underlay.checkout={}", folder.checkout.id);
    assert_eq!(
        output("docker", &["volume", "ls", "--quiet", "--filter", &label]),
        ""
    );
    let mut up = docker_up(&folder);
    assert_eq!(
        up.query(
            "orders",
            "SELECT count(*)::text FROM pg_tables WHERE tablename = 't'"
        ),
        ["0"]
    );
}
