//! Which PostgreSQL the shop gets: with Docker, with Docker stopped, with neither, and with nothing at all.

use std::{env, fs, path::PathBuf};

use expect_test::expect;
use libtest_mimic::Trial;
use underlay_local::Pin;

use crate::{
    application::{Application, Start, eventually},
    database::{Server, is_running},
    folder::{Folder, docker},
    mirror,
    servers::{Need, trial},
    shop::place_order,
    text,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("ladder::docker", &[Need::Docker], with_docker),
        trial(
            "ladder::native_when_docker_is_stopped",
            &[Need::Native],
            native_when_docker_is_stopped,
        ),
        trial(
            "ladder::managed_when_there_is_neither",
            &[Need::Managed, Need::MountNamespace],
            managed,
        ),
        trial(
            "ladder::nothing",
            &[Need::Native, Need::MountNamespace],
            nothing,
        ),
        trial(
            "ladder::two_checkouts_at_once",
            &[Need::Native],
            two_checkouts_at_once,
        ),
        trial(
            "ladder::two_checkouts_at_once_with_docker",
            &[Need::Docker],
            two_checkouts_at_once_with_docker,
        ),
        trial(
            "ladder::a_killed_application_leaves_no_server",
            &[Need::Native],
            a_killed_application_leaves_no_server,
        ),
    ]
}

/// The one line that says which PostgreSQL is used.
fn postgres(shop: &Application<'_>) -> String {
    shop.line("postgres: ");
    let plain = shop.plain();
    let lines: Vec<&str> = plain
        .lines()
        .filter(|line| line.contains("postgres: "))
        .collect();
    assert_eq!(lines.len(), 1, "it is said once: {plain}");
    lines[0].to_owned()
}

fn with_docker() {
    let folder = Folder::new();
    let shop = folder.shop_with_docker().serve();
    let line = postgres(&shop);
    assert!(line.starts_with("INFO postgres: docker 17."), "{line}");
    assert!(
        line.ends_with(" (postgres:17)"),
        "nothing is above it: {line}"
    );
    let id = place_order(&shop, "tea");
    let server = Server::of(&folder, Pin::Docker);
    let password = server
        .provisioned
        .admin
        .as_ref()
        .unwrap()
        .password
        .expose()
        .to_owned();
    assert!(
        password.len() > 10,
        "a container is reached by everybody on this machine"
    );
    let ended = shop.stop();
    assert!(!ended.output.contains(&password), "{}", ended.output);

    // The container stays, and the next start finds it.
    let name = format!(
        "underlay-{}-{}-default",
        folder.checkout.name(),
        folder.checkout.id
    );
    assert_eq!(
        docker(&["inspect", "--format", "{{.State.Running}}", &name]).trim(),
        "true"
    );
    let shop = folder.shop_with_docker().serve();
    assert!(postgres(&shop).starts_with("INFO postgres: docker 17."));
    assert_eq!(
        shop.get(&format!("/orders/{id}")).expect(200).json()["item"],
        "tea"
    );
}

fn native_when_docker_is_stopped() {
    let folder = Folder::new();
    let path = with_docker_command(&folder);
    let shop = folder
        .shop()
        .without("UNDERLAY_POSTGRES")
        .with("PATH", &path)
        .serve();
    let line = postgres(&shop);
    let (before, after) = line.split_once(" (/").unwrap();
    assert!(before.starts_with("INFO postgres: native 1"), "{line}");
    let reason = "), because Docker is not running (no socket at <checkout>/nowhere)";
    assert!(after.ends_with(reason), "{line}");
    let id = place_order(&shop, "tea");
    shop.stop();
    let shop = folder
        .shop()
        .without("UNDERLAY_POSTGRES")
        .with("PATH", &path)
        .serve();
    assert_eq!(postgres(&shop), line, "the reason is said every time");
    assert_eq!(
        shop.get(&format!("/orders/{id}")).expect(200).json()["item"],
        "tea"
    );
}

/// A PATH on which the command `docker` is to be found.
fn with_docker_command(folder: &Folder) -> String {
    let command = folder.write("bin/docker", "#!/bin/sh\nexit 1\n");
    format!(
        "{}:{}",
        command.parent().unwrap().display(),
        env::var("PATH").unwrap()
    )
}

/// The shop on a machine whose PostgreSQL binaries are hidden from it.
fn without_native(folder: &Folder) -> Start<'_> {
    let empty = folder.path("empty");
    fs::create_dir_all(&empty).unwrap();
    // Debian's binaries look for their libraries beside the hidden folder, and those in the mirror are Debian's.
    let versions = fs::read_dir("/usr/lib/postgresql").unwrap().flatten();
    let hide = versions.map(|version| {
        format!(
            "mount --bind {} {}/bin && ",
            empty.display(),
            version.path().display()
        )
    });
    let script = format!("{}exec \"$0\"", hide.collect::<String>());
    let start = folder
        .shop()
        .without("UNDERLAY_POSTGRES")
        .with("PATH", path_without_postgres(folder));
    start
        .with("UNDERLAY_CACHE", folder.path("cache"))
        .wrapped(&["unshare", "--mount", "sh", "-c", &script])
}

/// A PATH with the command `docker` and without PostgreSQL.
fn path_without_postgres(folder: &Folder) -> std::ffi::OsString {
    let path = with_docker_command(folder);
    let is_free = |folder: &PathBuf| {
        !["postgres", "initdb"]
            .iter()
            .any(|name| folder.join(name).exists())
    };
    env::join_paths(env::split_paths(&path).filter(is_free)).unwrap()
}

fn managed() {
    let folder = Folder::new();
    let url = mirror::serve(&folder);
    let shop = without_native(&folder)
        .with("UNDERLAY_POSTGRES_URL", &url)
        .serve();
    let line = postgres(&shop);
    assert!(line.starts_with("INFO postgres: managed 1"), "{line}");
    assert!(line.contains(" (<checkout>/cache/postgres/"), "{line}");
    assert!(
        line.contains("), because Docker is not running ("),
        "{line}"
    );
    assert!(
        line.contains(", and no PostgreSQL server was found (looked into "),
        "{line}"
    );
    let id = place_order(&shop, "tea");
    shop.stop();

    // Where the mirror was nobody listens any more: nothing is downloaded again.
    let shop = without_native(&folder)
        .with("UNDERLAY_POSTGRES_URL", "http://127.0.0.1:1")
        .serve();
    assert!(postgres(&shop).starts_with("INFO postgres: managed 1"));
    assert_eq!(
        shop.get(&format!("/orders/{id}")).expect(200).json()["item"],
        "tea"
    );
}

fn nothing() {
    let folder = Folder::new();
    let error = without_native(&folder)
        .with(
            "UNDERLAY_POSTGRES_URL",
            "http://somebody:hidden@127.0.0.1:1/mirror",
        )
        .refusal();
    // What curl says of a closed port depends on its version.
    let error = text::cut(&error, "tar.gz.sha256: ", "; is there", "<curl's reason>");
    let error = error.replace(env::consts::ARCH, "<arch>");
    expect![[r#"
        `shop` declares a database, and no PostgreSQL server can be had here:
          docker: Docker is not running (no socket at <checkout>/nowhere)
          native: no PostgreSQL server was found (looked into UNDERLAY_POSTGRES_BIN, /usr/lib/postgresql, Homebrew, Postgres.app and PATH)
          managed: cannot download http://127.0.0.1:<port>/mirror/17.11.0/postgresql-17.11.0-<arch>-unknown-linux-gnu.tar.gz.sha256: <curl's reason>; is there a network? a mirror can be given with UNDERLAY_POSTGRES_URL
        any one of these helps:
          start Docker
          install PostgreSQL, or set UNDERLAY_POSTGRES_BIN to the folder of its server binaries, or download them once: cargo underlay postgres install
          give the URL of a server: UNDERLAY_POSTGRES=postgres://user:password@host/postgres, or `url` under [postgres] in underlay.toml"#]].assert_eq(&error);
}

fn two_checkouts_at_once() {
    let (here, there) = (Folder::new(), Folder::new());
    // On the default ports, as two people's `cargo run`.
    let one = here.shop().without("UNDERLAY_LISTEN").serve();
    let two = there.shop().without("UNDERLAY_LISTEN").serve();
    share_nothing(&one, &two);
    assert_ne!(
        Server::of(&here, Pin::Native).pid(),
        Server::of(&there, Pin::Native).pid()
    );
}

fn two_checkouts_at_once_with_docker() {
    let (here, there) = (Folder::new(), Folder::new());
    let one = here.shop_with_docker().serve();
    let two = there.shop_with_docker().serve();
    share_nothing(&one, &two);
}

fn share_nothing(one: &Application<'_>, two: &Application<'_>) {
    assert_ne!(one.address(), two.address());
    let id = place_order(one, "tea");
    two.get(&format!("/orders/{id}")).expect(404);
    two.get(&format!("/orders/{id}/invoice")).expect(404);
    assert_eq!(one.get("/requests/orders/ann").expect(200).json(), 1);
    assert_eq!(two.get("/requests/orders/ann").expect(200).json(), 0);
}

fn a_killed_application_leaves_no_server() {
    let folder = Folder::new();
    let shop = folder.shop().serve();
    let server = Server::of(&folder, Pin::Native);
    let pid = server.pid();
    // The test's own use of the server ends first, so that the shop is the last one.
    drop(server);
    assert!(is_running(pid));
    shop.kill();
    eventually(
        "the server ends with the application that was killed",
        || (!is_running(pid)).then_some(()),
    );
}
