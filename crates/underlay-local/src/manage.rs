//! What runs for which checkout, and its end: the part of the provisioner that only the command line needs.
//!
//! It takes servers and data away and never brings any up.

use std::{
    collections::HashMap,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use bollard::{
    models::{ContainerSummary, ContainerSummaryStateEnum},
    query_parameters::{
        ListContainersOptionsBuilder, ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder,
        RemoveVolumeOptions,
    },
};
use serde::Serialize;

use crate::{
    Kind,
    checkout::Checkout,
    docker::{
        self, Engine, LABEL_APP, LABEL_CHECKOUT, LABEL_KIND, LABEL_NAMESPACE, LABEL_ROOT,
        is_not_found, text_of,
    },
    error::{Error, ErrorKind, Errors},
    namespace,
    postgres::{self, Rung},
    settings::{Pin, PostgresSettings, Settings},
};

/// A server of ours, running or stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServerStatus {
    /// The application that it was first started for.
    pub application: String,
    /// The checkout's root.
    pub root: PathBuf,
    /// The checkout's id.
    pub checkout: String,
    /// The namespace.
    pub namespace: String,
    /// What it is for.
    pub kind: Kind,
    /// How it was got.
    pub rung: Rung,
    /// Whether it runs.
    pub is_running: bool,
    /// Where it listens, when it runs.
    pub address: Option<String>,
    /// The container's name, or the server's process number.
    pub name: String,
    /// For how long, as the engine says it; empty for native servers.
    pub status: String,
}

/// What runs, and whom we could not ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Processes {
    /// The servers, by checkout, namespace and kind.
    pub servers: Vec<ServerStatus>,
    /// Why Docker was not asked; absent when it was.
    pub docker_unreachable: Option<String>,
}

/// What was taken away, and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// Containers, servers, volumes, files and folders that are gone.
    pub removed: Vec<String>,
    /// What was left, each with the reason.
    pub kept: Vec<String>,
}

/// The servers of one checkout, or of all checkouts of this user.
///
/// # Errors
///
/// When Docker answers, but not to this question, or a state file cannot be read.
pub async fn ps(checkout: Option<&Checkout>) -> Result<Processes, Errors> {
    let mut processes = Processes {
        servers: Vec::new(),
        docker_unreachable: None,
    };
    match docker::connect().await {
        Ok(engine) => {
            let containers = containers(&engine, checkout, None).await?;
            processes
                .servers
                .extend(containers.iter().filter_map(container_status));
        }
        Err(reason) => processes.docker_unreachable = Some(reason),
    }
    let native = postgres::running_natives().await?;
    processes.servers.extend(
        native
            .into_iter()
            .filter(|it| checkout.is_none_or(|checkout| checkout.id == it.checkout)),
    );
    processes.servers.sort_by(|a, b| {
        (&a.root, &a.namespace, a.kind.stem(), &a.name).cmp(&(
            &b.root,
            &b.namespace,
            b.kind.stem(),
            &b.name,
        ))
    });
    Ok(processes)
}

/// Stops the servers of a checkout, or of one of its namespaces, and removes their containers. Data is kept, except
/// that of tests in containers.
///
/// # Errors
///
/// When an application is using one of them, unless `force`; when one cannot be stopped. The others are stopped.
pub async fn down(
    checkout: &Checkout,
    namespace: Option<&str>,
    force: bool,
) -> Result<Removed, Errors> {
    let namespaces = match namespace {
        Some(name) => vec![known(checkout, name)?],
        None => namespace::list(checkout)?,
    };
    let mut removed = Removed::default();
    let mut problems = Vec::new();
    for name in &namespaces {
        let lock = match use_exclusively(checkout, name) {
            Err(error) if !force || error.kind() != ErrorKind::InUse => {
                problems.push(error);
                continue;
            }
            lock => lock.ok(),
        };
        if let Err(errors) = stop(checkout, name, &mut removed).await {
            problems.extend(errors);
        }
        drop(lock);
    }
    if problems.is_empty() {
        Ok(removed)
    } else {
        Err(Errors(problems))
    }
}

/// Takes away everything that a namespace holds: databases, messages, objects. The next start begins afresh.
///
/// Databases on a server whose URL the user gave are left alone, and named in the answer.
///
/// # Errors
///
/// When there is no such namespace, an application is using it, or something cannot be removed.
pub async fn reset(checkout: &Checkout, namespace: &str) -> Result<Removed, Errors> {
    let namespace = known(checkout, namespace)?;
    let lock = use_exclusively(checkout, &namespace)?;
    let removed = clear(checkout, &namespace).await?;
    drop(lock);
    Ok(removed)
}

/// Takes away a namespace with everything that it holds.
///
/// # Errors
///
/// When there is no such namespace, it is the active one, an application is using it, or something cannot be removed.
pub async fn delete_namespace(checkout: &Checkout, name: &str) -> Result<Removed, Errors> {
    let name = known(checkout, name)?;
    if namespace::active(checkout, None)? == name {
        let message = format!(
            "the namespace `{name}` is the active one; switch to another first: cargo underlay namespace switch {}",
            if name == namespace::DEFAULT_NAMESPACE {
                "<name>"
            } else {
                namespace::DEFAULT_NAMESPACE
            }
        );
        return Err(Error::new(ErrorKind::InUse, message).into());
    }
    let lock = use_exclusively(checkout, &name)?;
    let mut removed = clear(checkout, &name).await?;
    drop(lock);
    remove_path(&checkout.state.join(&name), &mut removed)?;
    Ok(removed)
}

fn known(checkout: &Checkout, name: &str) -> Result<String, Error> {
    namespace::require(checkout, name).map(|()| name.to_owned())
}

/// The file whose shared lock every application of a namespace holds.
fn use_path(checkout: &Checkout, namespace: &str) -> PathBuf {
    checkout.state.join(namespace).join("use.lock")
}

fn open_use(checkout: &Checkout, namespace: &str) -> Result<File, Error> {
    let path = use_path(checkout, namespace);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    file.map_err(|error| Error::state("open", &path, &error))
}

/// Marks a namespace as used until the file is dropped, or the process dies.
pub(crate) fn use_together(checkout: &Checkout, namespace: &str) -> Result<File, Error> {
    let file = open_use(checkout, namespace)?;
    match file.try_lock_shared() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::new(
            ErrorKind::InUse,
            format!(
                "the namespace `{namespace}` is just being reset or deleted; start again when that is done"
            ),
        )),
        Err(TryLockError::Error(error)) => {
            Err(Error::state("lock", &use_path(checkout, namespace), &error))
        }
    }
}

/// Keeps applications away from a namespace while it is taken away.
fn use_exclusively(checkout: &Checkout, namespace: &str) -> Result<Option<File>, Error> {
    if !checkout.state.join(namespace).is_dir() {
        return Ok(None);
    }
    let file = open_use(checkout, namespace)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(Error::new(
            ErrorKind::InUse,
            format!(
                "an application is using the namespace `{namespace}` of {}; stop it first",
                checkout.root.display()
            ),
        )),
        Err(TryLockError::Error(error)) => {
            Err(Error::state("lock", &use_path(checkout, namespace), &error))
        }
    }
}

async fn containers(
    engine: &Engine,
    checkout: Option<&Checkout>,
    namespace: Option<&str>,
) -> Result<Vec<ContainerSummary>, Error> {
    let filters = filters(checkout, namespace);
    let options = ListContainersOptionsBuilder::new()
        .all(true)
        .filters(&filters)
        .build();
    engine
        .docker
        .list_containers(Some(options))
        .await
        .map_err(|error| {
            Error::new(
                ErrorKind::Docker,
                format!("Docker cannot list our containers: {}", text_of(&error)),
            )
        })
}

fn filters(checkout: Option<&Checkout>, namespace: Option<&str>) -> HashMap<String, Vec<String>> {
    let mut labels = match checkout {
        Some(checkout) => vec![format!("{LABEL_CHECKOUT}={}", checkout.id)],
        None => vec![LABEL_CHECKOUT.to_owned()],
    };
    labels.extend(namespace.map(|namespace| format!("{LABEL_NAMESPACE}={namespace}")));
    HashMap::from([("label".to_owned(), labels)])
}

fn container_name(container: &ContainerSummary) -> String {
    let names = container.names.as_deref().unwrap_or_default();
    names
        .first()
        .map(|name| name.trim_start_matches('/').to_owned())
        .unwrap_or_default()
}

fn container_status(container: &ContainerSummary) -> Option<ServerStatus> {
    let labels = container.labels.as_ref()?;
    let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
    let port = container
        .ports
        .iter()
        .flatten()
        .find_map(|port| port.public_port);
    Some(ServerStatus {
        application: label(LABEL_APP),
        root: label(LABEL_ROOT).into(),
        checkout: label(LABEL_CHECKOUT),
        namespace: label(LABEL_NAMESPACE),
        kind: if label(LABEL_KIND) == Kind::Test.name() {
            Kind::Test
        } else {
            Kind::Run
        },
        rung: Rung::Docker,
        is_running: container.state == Some(ContainerSummaryStateEnum::RUNNING),
        address: port.map(|port| format!("127.0.0.1:{port}")),
        name: container_name(container),
        status: container.status.clone().unwrap_or_default(),
    })
}

/// Ends the servers of a namespace and removes its containers.
async fn stop(
    checkout: &Checkout,
    namespace: &str,
    removed: &mut Removed,
) -> Result<(), Vec<Error>> {
    let mut problems = Vec::new();
    match docker::connect().await {
        Ok(engine) => match containers(&engine, Some(checkout), Some(namespace)).await {
            Ok(containers) => {
                for container in &containers {
                    let name = container_name(container);
                    let options = RemoveContainerOptionsBuilder::new()
                        .v(true)
                        .force(true)
                        .build();
                    match engine.docker.remove_container(&name, Some(options)).await {
                        Err(error) if !is_not_found(&error) => problems.push(Error::new(
                            ErrorKind::Docker,
                            format!(
                                "Docker cannot remove the container {name}: {}",
                                text_of(&error)
                            ),
                        )),
                        _ => removed.removed.push(format!("container {name}")),
                    }
                }
            }
            Err(error) => problems.push(error),
        },
        Err(reason) => unreachable(checkout, namespace, &reason, removed, &mut problems),
    }
    match postgres::stop_natives(checkout, namespace).await {
        Ok(stopped) => removed.removed.extend(stopped),
        Err(error) => problems.push(error),
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

/// Docker cannot be asked: a problem where it is known to hold something, else worth a word.
fn unreachable(
    checkout: &Checkout,
    namespace: &str,
    reason: &str,
    removed: &mut Removed,
    problems: &mut Vec<Error>,
) {
    if postgres::is_in_docker(checkout, namespace) {
        let message = format!(
            "the PostgreSQL of namespace `{namespace}` is in a container, and Docker cannot be asked to remove it: {reason}"
        );
        problems.push(Error::new(ErrorKind::Docker, message));
    } else {
        let line = format!("containers of earlier runs, if there are any: {reason}");
        if !removed.kept.contains(&line) {
            removed.kept.push(line);
        }
    }
}

/// Stops a namespace's servers and removes its data, but not its folder.
async fn clear(checkout: &Checkout, namespace: &str) -> Result<Removed, Errors> {
    let mut removed = Removed::default();
    stop(checkout, namespace, &mut removed)
        .await
        .map_err(Errors)?;
    if let Ok(Settings {
        postgres:
            PostgresSettings {
                pinned: Some(Pin::Url { origin, .. }),
                ..
            },
        ..
    }) = Settings::read(checkout)
    {
        removed.kept.push(format!(
            "the databases on the server whose URL is given by {origin}"
        ));
    }
    let mut problems = Vec::new();
    // Whether Docker can be reached was settled above.
    if let Ok(engine) = docker::connect().await {
        problems.extend(
            remove_volumes(&engine, checkout, namespace, &mut removed)
                .await
                .err(),
        );
    }
    match postgres::data_folders(checkout, namespace).await {
        Ok(folders) => {
            for folder in folders {
                problems.extend(remove_path(&folder, &mut removed).err());
            }
        }
        Err(error) => problems.push(error),
    }
    let folder = checkout.state.join(namespace);
    match fs::read_dir(&folder) {
        Ok(entries) => {
            for entry in entries.flatten() {
                // The lock file is what we hold.
                if entry.file_name() != "use.lock" {
                    problems.extend(remove_path(&entry.path(), &mut removed).err());
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => problems.push(Error::state("read", &folder, &error)),
    }
    if problems.is_empty() {
        Ok(removed)
    } else {
        Err(Errors(problems))
    }
}

async fn remove_volumes(
    engine: &Engine,
    checkout: &Checkout,
    namespace: &str,
    removed: &mut Removed,
) -> Result<(), Error> {
    let failed = |action: String, error: &bollard::errors::Error| {
        Error::new(
            ErrorKind::Docker,
            format!("Docker cannot {action}: {}", text_of(error)),
        )
    };
    let options = ListVolumesOptionsBuilder::new()
        .filters(&filters(Some(checkout), Some(namespace)))
        .build();
    let list = engine.docker.list_volumes(Some(options)).await;
    let list = list.map_err(|error| failed("list our volumes".to_owned(), &error))?;
    for volume in list.volumes.unwrap_or_default() {
        match engine
            .docker
            .remove_volume(&volume.name, None::<RemoveVolumeOptions>)
            .await
        {
            Err(error) if !is_not_found(&error) => {
                return Err(failed(format!("remove the volume {}", volume.name), &error));
            }
            _ => removed.removed.push(format!("volume {}", volume.name)),
        }
    }
    Ok(())
}

fn remove_path(path: &Path, removed: &mut Removed) -> Result<(), Error> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::state("look at", path, &error)),
    };
    let outcome = if metadata.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::state("remove", path, &error))
        }
        _ => {
            removed.removed.push(path.display().to_string());
            Ok(())
        }
    }
}
