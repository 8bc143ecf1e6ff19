//! The native rung, with the PostgreSQL that is installed on this machine.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use libtest_mimic::Trial;

use crate::application::{Folder, Up, WAY_OUT, eventually, output};

pub(crate) fn trials() -> Vec<Trial> {
    let absent = installed()
        .is_none()
        .then(|| "no PostgreSQL server binaries under /usr/lib/postgresql".to_owned());
    crate::suite(
        "native",
        absent,
        &[
            (
                "first_start_then_restart_keeps_data",
                first_start_then_restart_keeps_data,
            ),
            (
                "two_processes_share_one_server",
                two_processes_share_one_server,
            ),
            (
                "two_starters_at_once_share_one_server",
                two_starters_at_once_share_one_server,
            ),
            (
                "a_killed_application_leaves_no_server",
                a_killed_application_leaves_no_server,
            ),
            (
                "starting_and_stopping_at_once",
                starting_and_stopping_at_once,
            ),
            ("a_stale_pid_file_is_mended", a_stale_pid_file_is_mended),
            ("a_dead_server_is_mended", a_dead_server_is_mended),
            (
                "a_killed_supervisor_is_mended",
                a_killed_supervisor_is_mended,
            ),
            ("a_test_cluster_is_apart", a_test_cluster_is_apart),
            ("two_checkouts_share_nothing", two_checkouts_share_nothing),
            (
                "without_a_database_nothing_starts",
                without_a_database_nothing_starts,
            ),
            ("somebody_who_is_not_root", somebody_who_is_not_root),
            (
                "another_shell_supervises_as_well",
                another_shell_supervises_as_well,
            ),
            (
                "a_server_of_the_users_is_shared_by_namespaces",
                a_server_of_the_users_is_shared_by_namespaces,
            ),
            (
                "a_database_that_is_not_the_migrators_is_left_alone",
                a_database_that_is_not_the_migrators_is_left_alone,
            ),
            (
                "what_a_deleted_checkout_left_is_removed",
                what_a_deleted_checkout_left_is_removed,
            ),
            (
                "a_wrong_folder_of_binaries_is_said",
                a_wrong_folder_of_binaries_is_said,
            ),
            (
                "a_run_folder_without_a_server_is_removed",
                a_run_folder_without_a_server_is_removed,
            ),
            (
                "data_of_another_version_is_refused",
                data_of_another_version_is_refused,
            ),
            (
                "a_running_server_of_another_version_is_refused",
                a_running_server_of_another_version_is_refused,
            ),
        ],
    )
}

pub(crate) fn installed() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    folders.sort();
    folders
        .into_iter()
        .rev()
        .find(|folder| folder.join("initdb").exists())
}

fn start(folder: &Folder) -> crate::application::Start<'_> {
    folder.application().with("UNDERLAY_POSTGRES", "native")
}

/// The process number of a server, as the server says.
fn pid(up: &mut Up) -> String {
    let folder = up
        .query("postgres", "SELECT current_setting('data_directory')")
        .remove(0);
    fs::read_to_string(Path::new(&folder).join("postmaster.pid"))
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .to_owned()
}

fn is_running(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn processes_of(folder: &str) -> String {
    let all = output("ps", &["-ww", "-e", "-o", "pid,args"]);
    all.lines()
        .filter(|line| line.contains(folder))
        .collect::<Vec<_>>()
        .join("\n")
}

fn first_start_then_restart_keeps_data() {
    let folder = Folder::new();
    let mut up = start(&folder).databases(&["orders", "users"]).provision();
    assert!(up.line().starts_with("postgres: native 1"), "{}", up.line());
    assert!(up.host().starts_with('/'), "{}", up.host());
    up.query("orders", "CREATE TABLE t (x text)");
    up.query("orders", "INSERT INTO t VALUES ('kept')");
    up.query("users", "SELECT 'there'");
    let (first, host) = (pid(&mut up), up.host());
    drop(up);
    eventually("the server ends with its last user", || !is_running(&first));
    eventually("the supervisor ends", || processes_of(&host).is_empty());
    for path in [host.clone(), format!("{host}.gone")] {
        assert!(!Path::new(&path).exists(), "{path}");
    }
    let mut up = start(&folder).databases(&["orders", "users"]).provision();
    assert_eq!(up.query("orders", "SELECT x FROM t"), ["kept"]);
    assert_eq!(up.host(), host);
    let mode = output(
        "stat",
        &[
            "-c",
            "%a",
            folder.state("default/postgres.json").to_str().unwrap(),
        ],
    );
    assert_eq!(mode.trim(), "600");
}

fn two_processes_share_one_server() {
    let folder = Folder::new();
    let mut one = start(&folder).provision();
    let mut two = start(&folder).provision();
    let server = pid(&mut one);
    assert_eq!(server, pid(&mut two));
    drop(one);
    assert_eq!(two.query("orders", "SELECT 'still here'"), ["still here"]);
    two.kill();
    eventually("the server ends with its last user", || {
        !is_running(&server)
    });
}

fn two_starters_at_once_share_one_server() {
    let folder = Folder::new();
    let starting: Vec<_> = (0..4).map(|_| start(&folder).spawn()).collect();
    let mut up: Vec<_> = starting.into_iter().map(|it| it.provisioned()).collect();
    let servers: Vec<_> = up.iter_mut().map(pid).collect();
    assert!(servers.iter().all(|it| *it == servers[0]), "{servers:?}");
}

fn a_killed_application_leaves_no_server() {
    let folder = Folder::new();
    let mut up = start(&folder).provision();
    let (server, host) = (pid(&mut up), up.host());
    assert!(is_running(&server));
    up.kill();
    eventually("the server ends when its only user is killed", || {
        !is_running(&server)
    });
    eventually("the supervisor ends", || processes_of(&host).is_empty());
}

fn starting_and_stopping_at_once() {
    // Users come while the server is stopping because the last one has just gone: none may be left with a server
    // that ends under it.
    let folder = Folder::new();
    drop(start(&folder).provision());
    for _ in 0..10 {
        let mut up: Vec<_> = (0..3).map(|_| start(&folder).spawn()).collect();
        let mut last = up.pop().unwrap().provisioned();
        up.drain(..).for_each(|running| drop(running.provisioned()));
        assert_eq!(last.query("orders", "SELECT 'served'"), ["served"]);
    }
}

fn a_stale_pid_file_is_mended() {
    let folder = Folder::new();
    let mut up = start(&folder).provision();
    let data = up
        .query("postgres", "SELECT current_setting('data_directory')")
        .remove(0);
    let server = pid(&mut up);
    drop(up);
    eventually("the server ends", || !is_running(&server));
    // As after a crash of the machine: the number is now that of a process which is no PostgreSQL.
    let stale = format!(
        "{}\n{data}\n1700000000\n5432\n/tmp\n\n  1 1\nready   \n",
        std::process::id()
    );
    fs::write(Path::new(&data).join("postmaster.pid"), stale).unwrap();
    let mut up = start(&folder).provision();
    assert_eq!(up.query("orders", "SELECT 'up'"), ["up"]);
}

fn a_dead_server_is_mended() {
    let folder = Folder::new();
    let mut one = start(&folder).provision();
    let server = pid(&mut one);
    output("kill", &["-KILL", &server]);
    eventually("the server is dead", || !is_running(&server));
    let mut two = start(&folder).provision();
    assert_eq!(two.query("orders", "SELECT 'up'"), ["up"]);
    assert_eq!(one.query("orders", "SELECT 'again'"), ["again"]);
}

fn a_killed_supervisor_is_mended() {
    let folder = Folder::new();
    let mut one = start(&folder).provision();
    let (server, host) = (pid(&mut one), one.host());
    let supervisors = processes_of(&format!("{host}/supervise.sh"));
    assert_eq!(supervisors.lines().count(), 2, "{supervisors}");
    for line in supervisors.lines() {
        output("kill", &["-KILL", line.split_whitespace().next().unwrap()]);
    }
    // The server runs on, with nobody to stop it, until somebody starts the next one.
    let mut two = start(&folder).provision();
    assert!(!is_running(&server));
    let server = pid(&mut two);
    drop(one);
    assert_eq!(two.query("orders", "SELECT 'up'"), ["up"]);
    two.kill();
    eventually("the new server ends with its user", || !is_running(&server));
}

fn a_test_cluster_is_apart() {
    let folder = Folder::new();
    let mut run = start(&folder).provision();
    let mut test = start(&folder).test().provision();
    assert_ne!(run.host(), test.host());
    assert_eq!(run.query("postgres", "SHOW fsync"), ["on"]);
    assert_eq!(test.query("postgres", "SHOW fsync"), ["off"]);
    assert_eq!(test.text("/config/metadata/env_type"), "test");
}

fn two_checkouts_share_nothing() {
    let (here, there) = (Folder::new(), Folder::new());
    let mut one = start(&here).provision();
    let mut two = start(&there).provision();
    assert_ne!(pid(&mut one), pid(&mut two));
    // A copy of a checkout has the original's state folder, and must not use the original's server.
    drop(two);
    fs::copy(
        here.state("default/postgres.json"),
        there.state("default/postgres.json"),
    )
    .unwrap();
    let mut two = start(&there).provision();
    assert_ne!(pid(&mut one), pid(&mut two));
}

fn without_a_database_nothing_starts() {
    let folder = Folder::new();
    // A rung that cannot work shows that none is looked at.
    let up = folder
        .application()
        .databases(&[])
        .with("UNDERLAY_POSTGRES", "postgres://nowhere.invalid/x")
        .provision();
    assert!(up.answer["postgres"].is_null());
    assert!(!folder.state("default/postgres.json").exists());
}

fn somebody_who_is_not_root() {
    let folder = Folder::new();
    let mut one = start(&folder).by_nobody().provision();
    one.query("orders", "CREATE TABLE t (x text)");
    let mut two = start(&folder).by_nobody().provision();
    let server = pid(&mut two);
    drop(one);
    assert_eq!(two.query("orders", "SELECT count(*)::text FROM t"), ["0"]);
    two.kill();
    eventually("the server ends with its last user", || {
        !is_running(&server)
    });
}

fn another_shell_supervises_as_well() {
    // On macOS and elsewhere `sh` is bash; here it is usually dash.
    let folder = Folder::new();
    let bin = folder.checkout.root.join("bin");
    fs::create_dir_all(&bin).unwrap();
    symlink("/bin/bash", bin.join("sh")).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut one = start(&folder).with("PATH", &path).provision();
    let mut two = start(&folder).with("PATH", &path).provision();
    let server = pid(&mut two);
    let executable = fs::read_link(format!("/proc/{}/exe", parent(&server))).unwrap();
    assert!(executable.ends_with("bash"), "{}", executable.display());
    drop(one);
    assert_eq!(two.query("orders", "SELECT 'still here'"), ["still here"]);
    two.kill();
    eventually("the server ends with its last user", || {
        !is_running(&server)
    });
    one = start(&folder).with("PATH", &path).provision();
    assert_eq!(one.query("orders", "SELECT 'again'"), ["again"]);
}

/// The number of a process's parent.
fn parent(pid: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("PPid:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().to_owned()
}

fn a_server_of_the_users_is_shared_by_namespaces() {
    let (server, folder) = (Folder::new(), Folder::new());
    let mut owner = start(&server).databases(&["postgres"]).provision();
    let url = format!(
        "postgres://underlay:p%40ss@localhost/postgres?host={}",
        owner.host()
    );
    let up = folder
        .application()
        .with("UNDERLAY_POSTGRES", &url)
        .provision();
    assert!(up.line().starts_with("postgres: url 1"), "{}", up.line());
    assert_eq!(up.host(), owner.host());
    let database = "/config/sql_servers/0/databases/orders";
    let id = &folder.checkout.id;
    assert_eq!(
        up.text(&format!("{database}/username")),
        format!("underlay_{id}_service")
    );
    assert_eq!(
        up.text(&format!("{database}/migrator/username")),
        format!("underlay_{id}_migrator")
    );
    let other = folder
        .application()
        .with("UNDERLAY_POSTGRES", &url)
        .with("UNDERLAY_NAMESPACE", "pr-12")
        .provision();
    assert_eq!(
        other.text("/config/sql_servers/0/databases/orders/name"),
        "orders-pr-12"
    );
    assert_eq!(
        other.text(&format!("{database}/username")),
        format!("underlay_{id}_pr-12_service")
    );
    let names = owner.query(
        "postgres",
        "SELECT datname::text FROM pg_database WHERE datname LIKE 'orders%' ORDER BY 1",
    );
    assert_eq!(names, ["orders", "orders-pr-12"]);
}

fn a_database_that_is_not_the_migrators_is_left_alone() {
    let folder = Folder::new();
    let mut first = start(&folder).databases(&["users"]).provision();
    first.query("postgres", "CREATE DATABASE orders");
    let mut up = start(&folder).provision();
    assert_eq!(up.role("service", "username"), "underlay");
    assert!(
        up.answer["events"].to_string().contains(
            "so used as underlay with all its rights: the database `orders`; for roles as in production start afresh"
        ),
        "{}",
        up.answer["events"]
    );
    up.query("orders", "CREATE TABLE t (x text)");
    let error = up.recreate(&["orders"]).unwrap_err();
    assert!(
        error.ends_with("; start afresh: cargo underlay reset"),
        "{error}"
    );
    assert_eq!(up.query("orders", "SELECT count(*)::text FROM t"), ["0"]);
}

fn what_a_deleted_checkout_left_is_removed() {
    let (gone, next) = (Folder::new(), Folder::new());
    let mut up = start(&gone).test().provision();
    let data = up
        .query("postgres", "SELECT current_setting('data_directory')")
        .remove(0);
    let run = up.host();
    drop(up);
    eventually("the supervisor ends", || processes_of(&run).is_empty());
    assert!(Path::new(&data).exists());
    fs::remove_dir_all(&gone.checkout.root).unwrap();
    drop(start(&next).provision());
    assert!(!Path::new(&data).exists());
    assert!(!Path::new(&run).exists());
}

fn a_wrong_folder_of_binaries_is_said() {
    let folder = Folder::new();
    let error = start(&folder)
        .with("UNDERLAY_POSTGRES_BIN", "/usr/share")
        .refusal();
    assert_eq!(
        error,
        format!(
            "postgres: native is what the settings ask for, and it cannot be used: UNDERLAY_POSTGRES_BIN (/usr/share) \
             cannot be used: it has no `postgres`{WAY_OUT}"
        )
    );
}

fn a_run_folder_without_a_server_is_removed() {
    let (crashed, used, next) = (Folder::new(), Folder::new(), Folder::new());
    let mut up = start(&crashed).provision();
    let (server, run) = (pid(&mut up), up.host());
    // As when the machine goes down: nobody tidies up.
    for line in processes_of(&format!("{run}/supervise.sh")).lines() {
        output("kill", &["-KILL", line.split_whitespace().next().unwrap()]);
    }
    output("kill", &["-KILL", &server]);
    eventually("the server is dead", || !is_running(&server));
    drop(up);
    assert!(Path::new(&run).exists());
    let mut other = start(&used).provision();
    assert!(!Path::new(&run).exists());
    drop(start(&next).provision());
    assert_eq!(other.query("orders", "SELECT 'there'"), ["there"]);
    let mut up = start(&crashed).provision();
    assert_eq!(up.query("orders", "SELECT 'again'"), ["again"]);
}

/// A folder of binaries that say they are of version 77.
fn disguised(folder: &Folder) -> PathBuf {
    let bin = folder.checkout.root.join("bin");
    fs::create_dir_all(&bin).unwrap();
    let real = installed().unwrap();
    symlink(real.join("initdb"), bin.join("initdb")).unwrap();
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = --version ] && echo 'postgres (PostgreSQL) 77.1' && exit\nexec {} \"$@\"\n",
        real.join("postgres").display()
    );
    fs::write(bin.join("postgres"), script).unwrap();
    output("chmod", &["+x", bin.join("postgres").to_str().unwrap()]);
    bin
}

fn a_running_server_of_another_version_is_refused() {
    let folder = Folder::new();
    let mut up = start(&folder).provision();
    let version = up.query("postgres", "SHOW server_version").remove(0);
    let major = version.split('.').next().unwrap();
    fs::write(
        folder.checkout.root.join("underlay.toml"),
        "[postgres]\nversion = \"77\"\n",
    )
    .unwrap();
    let bin = disguised(&folder);
    let again = || start(&folder).with("UNDERLAY_POSTGRES_BIN", bin.to_str().unwrap());
    let data = folder.state("default/postgres");
    let way_out = format!(
        "set `version = \"{major}\"` under [postgres] in underlay.toml, or start afresh: cargo underlay reset"
    );
    assert_eq!(
        again().refusal(),
        format!(
            "a PostgreSQL {major} runs for namespace `default` with its data in {}, and `version` under [postgres] in \
             underlay.toml asks for PostgreSQL 77; {way_out}",
            data.display()
        )
    );
    let server = pid(&mut up);
    drop(up);
    eventually("the server ends", || !is_running(&server));
    assert_eq!(
        again().refusal(),
        format!(
            "the data of namespace `default` in {} was created by PostgreSQL {major}, and here is only PostgreSQL 77.1 \
             ({}); {way_out}",
            data.display(),
            bin.display()
        )
    );
}

fn data_of_another_version_is_refused() {
    let folder = Folder::new();
    let mut up = start(&folder).provision();
    let data = up
        .query("postgres", "SELECT current_setting('data_directory')")
        .remove(0);
    let server = pid(&mut up);
    drop(up);
    eventually("the server ends", || !is_running(&server));
    fs::write(Path::new(&data).join("PG_VERSION"), "12\n").unwrap();
    let error = start(&folder).refusal();
    assert!(
        error.starts_with("the data of namespace `default` in "),
        "{error}"
    );
    assert!(error.contains("was created by PostgreSQL 12"), "{error}");
    assert!(
        error.ends_with("or start afresh: cargo underlay reset"),
        "{error}"
    );
}
