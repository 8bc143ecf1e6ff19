//! Which rung is taken, why not the one above, and what is said when none works. No server is needed for it.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixListener},
};

use libtest_mimic::Trial;

use crate::application::{Folder, Start, WAY_OUT};

pub(crate) fn trials() -> Vec<Trial> {
    crate::suite(
        "ladder",
        None,
        &[
            (
                "when_nothing_works_everything_is_said",
                when_nothing_works_everything_is_said,
            ),
            (
                "a_socket_where_nobody_answers",
                a_socket_where_nobody_answers,
            ),
            (
                "a_socket_without_permission_is_said",
                a_socket_without_permission_is_said,
            ),
            ("an_engine_elsewhere", an_engine_elsewhere),
            ("a_server_that_refuses", a_server_that_refuses),
            (
                "mistakes_are_all_reported_at_once",
                mistakes_are_all_reported_at_once,
            ),
        ],
    )
}

/// An application on a machine without Docker, PostgreSQL and network.
fn bare(folder: &Folder) -> Start<'_> {
    folder
        .application()
        .with("DOCKER_HOST", "unix:///nonexistent/docker.sock")
        .with("UNDERLAY_POSTGRES_BIN", "/nonexistent/bin")
        .with("UNDERLAY_POSTGRES_URL", "file:///nonexistent/mirror")
        .with(
            "UNDERLAY_CACHE",
            folder.checkout.root.join("cache").to_str().unwrap(),
        )
}

fn when_nothing_works_everything_is_said() {
    let folder = Folder::new();
    let error = bare(&folder).refusal();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(
        lines[0],
        "`shop` declares a database, and no PostgreSQL server can be had here:"
    );
    assert!(lines[1].starts_with("  docker: Docker is not "), "{error}");
    assert!(
        lines[1].ends_with("(no socket at /nonexistent/docker.sock)"),
        "{error}"
    );
    assert_eq!(
        lines[2],
        "  native: UNDERLAY_POSTGRES_BIN (/nonexistent/bin) cannot be used: it has no `postgres`"
    );
    assert!(lines[3].starts_with("  managed: "), "{error}");
    assert_eq!(
        lines[4..],
        [
            "any one of these helps:",
            "  start Docker",
            "  install PostgreSQL, or set UNDERLAY_POSTGRES_BIN to the folder of its server binaries, or download them \
             once: cargo underlay postgres install",
            "  give the URL of a server: UNDERLAY_POSTGRES=postgres://user:password@host/postgres, or `url` under \
             [postgres] in underlay.toml",
        ]
    );
}

fn a_socket_where_nobody_answers() {
    let folder = Folder::new();
    let socket = folder.checkout.root.join("d.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let error = bare(&folder)
        .with("DOCKER_HOST", format!("unix://{}", socket.display()))
        .refusal();
    let expected = format!(
        "Docker is not running (nobody answers at {}: connection refused)",
        socket.display()
    );
    assert!(error.contains(&expected), "{error}");
}

fn a_socket_without_permission_is_said() {
    let folder = Folder::new();
    let socket = folder.checkout.root.join("docker.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).unwrap();
    let error = folder
        .application()
        .by_nobody()
        .with("UNDERLAY_POSTGRES", "docker")
        .with("DOCKER_HOST", format!("unix://{}", socket.display()))
        .refusal();
    let expected = format!(
        "Docker's socket {} is closed to this user (join the group docker: sudo usermod -aG docker $USER, then log in \
         again){WAY_OUT}",
        socket.display()
    );
    assert!(error.ends_with(&expected), "{error}");
}

fn an_engine_elsewhere() {
    let folder = Folder::new();
    let error = bare(&folder)
        .with("DOCKER_HOST", "tcp://127.0.0.1:1")
        .refusal();
    let expected = "DOCKER_HOST is tcp://127.0.0.1:1, and only an engine on this machine (unix://…) can be used";
    assert!(error.contains(expected), "{error}");
}

fn a_server_that_refuses() {
    let folder = Folder::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("postgres://somebody:hidden@{address}/x");
    let error = folder
        .application()
        .with("UNDERLAY_POSTGRES", url)
        .refusal();
    assert_eq!(
        error,
        format!(
            "postgres: url is what the settings ask for, and it cannot be used: {address} as somebody (given by \
             UNDERLAY_POSTGRES) refuses: connection refused{WAY_OUT}"
        )
    );
}

fn mistakes_are_all_reported_at_once() {
    let folder = Folder::new();
    fs::write(
        folder.checkout.root.join("underlay.toml"),
        "[postgres]\nimge = \"x\"\nport = 0\n",
    )
    .unwrap();
    let error = bare(&folder)
        .with("UNDERLAY_NAMESPACE", "Not a name")
        .refusal();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 3, "{error}");
    assert!(
        lines[0].ends_with("underlay.toml:2: unknown key `postgres.imge`; did you mean `image`?"),
        "{error}"
    );
    assert!(
        lines[1].ends_with("underlay.toml:3: `postgres.port` must be a port from 1 to 65535"),
        "{error}"
    );
    assert!(
        lines[2].starts_with("UNDERLAY_NAMESPACE: `Not a name` is not a namespace's name; "),
        "{error}"
    );
    // No part of the failed start is left behind.
    assert!(!folder.state("Not a name").exists());
}
