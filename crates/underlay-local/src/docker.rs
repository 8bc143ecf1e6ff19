//! The Docker engine of this machine, or what speaks its language: how it is found, and what of ours is in it.
//!
//! It knows nothing of PostgreSQL; [`crate::postgres`] says what runs in a container.

use std::{collections::HashMap, env, time::Duration};

use bollard::{API_DEFAULT_VERSION, Docker};

use crate::Kind;

/// The label with the checkout's id; everything of ours has it.
pub(crate) const LABEL_CHECKOUT: &str = "dev.underlay.checkout";
/// The label with the checkout's folder.
pub(crate) const LABEL_ROOT: &str = "dev.underlay.root";
/// The label with the namespace.
pub(crate) const LABEL_NAMESPACE: &str = "dev.underlay.namespace";
/// The label with `run` or `test`.
pub(crate) const LABEL_KIND: &str = "dev.underlay.kind";
/// The label with the application's name.
pub(crate) const LABEL_APP: &str = "dev.underlay.app";

/// Seconds that one request to the engine may take; a pull is many short reads, each with its own.
const REQUEST_SECONDS: u64 = 120;
/// How long the engine may take to say its version.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// The engine, with the address it answered at.
pub(crate) struct Engine {
    pub(crate) docker: Docker,
    pub(crate) address: String,
}

/// Connects to the first engine that answers.
///
/// The error is one sentence that says why there is none.
pub(crate) async fn connect() -> Result<Engine, String> {
    let addresses = match env::var("DOCKER_HOST") {
        Ok(host) if !host.is_empty() => {
            if !host.starts_with("unix://") && !host.starts_with("npipe://") {
                return Err(format!(
                    "DOCKER_HOST is {host}, and only an engine on this machine (unix://…) can be used"
                ));
            }
            vec![host]
        }
        _ => usual_addresses(),
    };
    // The worst news is the most useful: a socket that refuses says more than one that is not there.
    let mut refusal = None;
    for address in &addresses {
        match connect_to(address).await {
            Ok(docker) => {
                return Ok(Engine {
                    docker,
                    address: address.clone(),
                });
            }
            Err(Absence::NoSocket) => {}
            Err(Absence::Refused(reason)) => {
                refusal.get_or_insert(reason);
            }
        }
    }
    Err(refusal.unwrap_or_else(|| {
        let state = if is_installed() {
            "running"
        } else {
            "installed"
        };
        let first = addresses.first().map(|it| path_of(it)).unwrap_or_default();
        format!("Docker is not {state} (no socket at {first})")
    }))
}

enum Absence {
    NoSocket,
    Refused(String),
}

fn path_of(address: &str) -> &str {
    address
        .trim_start_matches("unix://")
        .trim_start_matches("npipe://")
}

/// Where engines listen: Docker, Docker Desktop, rootless Docker, Colima, OrbStack, Rancher Desktop, Podman.
#[cfg(unix)]
fn usual_addresses() -> Vec<String> {
    use std::path::PathBuf;

    let mut paths = vec![PathBuf::from("/var/run/docker.sock")];
    if let Some(home) = env::home_dir() {
        for path in [
            ".docker/run/docker.sock",
            ".docker/desktop/docker.sock",
            ".colima/default/docker.sock",
            ".orbstack/run/docker.sock",
            ".rd/docker.sock",
            ".local/share/containers/podman/machine/podman.sock",
        ] {
            paths.push(home.join(path));
        }
    }
    if let Some(runtime) = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
        paths.push(runtime.join("docker.sock"));
        paths.push(runtime.join("podman/podman.sock"));
    }
    paths.push(PathBuf::from("/run/podman/podman.sock"));
    paths
        .iter()
        .map(|path| format!("unix://{}", path.display()))
        .collect()
}

#[cfg(not(unix))]
fn usual_addresses() -> Vec<String> {
    vec!["npipe:////./pipe/docker_engine".to_owned()]
}

#[cfg(unix)]
async fn connect_to(address: &str) -> Result<Docker, Absence> {
    let path = path_of(address);
    // The client's own errors do not tell these apart.
    if let Err(error) = tokio::net::UnixStream::connect(path).await {
        return Err(match error.kind() {
            std::io::ErrorKind::NotFound => Absence::NoSocket,
            std::io::ErrorKind::PermissionDenied => Absence::Refused(format!(
                "Docker's socket {path} is closed to this user (join the group docker: sudo usermod -aG docker $USER, \
                 then log in again)"
            )),
            _ => Absence::Refused(format!(
                "Docker is not running (nobody answers at {path}: {})",
                crate::error::os_text(&error)
            )),
        });
    }
    let docker = Docker::connect_with_unix(address, REQUEST_SECONDS, API_DEFAULT_VERSION);
    negotiate(docker, path).await
}

#[cfg(not(unix))]
async fn connect_to(address: &str) -> Result<Docker, Absence> {
    if !std::path::Path::new(path_of(address)).exists() {
        return Err(Absence::NoSocket);
    }
    let docker = Docker::connect_with_local(address, REQUEST_SECONDS, API_DEFAULT_VERSION);
    negotiate(docker, path_of(address)).await
}

async fn negotiate(
    docker: Result<Docker, bollard::errors::Error>,
    path: &str,
) -> Result<Docker, Absence> {
    let refused =
        |reason: String| Absence::Refused(format!("Docker does not answer at {path}: {reason}"));
    let docker = docker.map_err(|error| refused(text_of(&error)))?;
    // Docker 29 refuses old versions of the API, and old engines those they do not know.
    match tokio::time::timeout(ANSWER_PATIENCE, docker.negotiate_version()).await {
        Ok(Ok(docker)) => Ok(docker),
        Ok(Err(error)) => Err(refused(text_of(&error))),
        Err(_) => Err(refused(format!(
            "nothing within {} s",
            ANSWER_PATIENCE.as_secs()
        ))),
    }
}

/// Whether a program that manages containers is on the PATH.
fn is_installed() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| {
        ["docker", "dockerd", "podman"].iter().any(|name| {
            folder
                .join(format!("{name}{}", env::consts::EXE_SUFFIX))
                .is_file()
        })
    })
}

/// The text of an engine's error without bollard's own preface.
pub(crate) fn text_of(error: &bollard::errors::Error) -> String {
    use bollard::errors::Error;

    match error {
        Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        Error::DockerStreamError { error } => error.trim().to_owned(),
        Error::IOError { err } => crate::error::os_text(err),
        other => other.to_string(),
    }
}

/// Whether the engine says that something does not exist.
pub(crate) fn is_not_found(error: &bollard::errors::Error) -> bool {
    matches!(
        error,
        bollard::errors::Error::DockerResponseServerError {
            status_code: 404,
            ..
        }
    )
}

/// The labels of everything that belongs to one server.
pub(crate) fn labels(
    checkout: &crate::Checkout,
    namespace: &str,
    kind: Kind,
    application: &str,
) -> HashMap<String, String> {
    [
        (LABEL_CHECKOUT, checkout.id.clone()),
        (LABEL_ROOT, checkout.root.display().to_string()),
        (LABEL_NAMESPACE, namespace.to_owned()),
        (LABEL_KIND, kind.name().to_owned()),
        (LABEL_APP, application.to_owned()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}
