//! The rung that runs PostgreSQL in a container, kept between runs and shared by the processes of a checkout.
//!
//! A container that runs is joined without a word to the engine: see [`join`].

use std::{
    collections::HashMap,
    fs, io,
    time::{Duration, Instant},
};

use bollard::{
    Docker,
    models::{
        ContainerCreateBody, ContainerInspectResponse, HostConfig, Mount, MountType, PortBinding,
        VolumeCreateRequest,
    },
    query_parameters::{
        CreateContainerOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    },
};
use futures_util::StreamExt;
use sqlx::{AssertSqlSafe, Executor, postgres::PgConnection};

use super::{
    Address, Refusal, Rung, Scope, Server, TEST_SETTINGS, USER, admin, image, record::Record,
};
use crate::{
    Kind,
    checkout::write_private,
    docker::{self, is_not_found, text_of},
    error::{Error, ErrorKind},
    report::{Event, waiting},
};

/// Where the container keeps its data; said to the image, because newer ones have another default.
const DATA: &str = "/var/lib/postgresql/data";
/// The label with the image that a container was made from.
const LABEL_IMAGE: &str = "dev.underlay.image";
/// The label with the major version that a volume's data belongs to.
const LABEL_MAJOR: &str = "dev.underlay.postgres";
/// How long a server may take from its start to the first connection; creating the cluster is part of it.
const START_PATIENCE: Duration = Duration::from_secs(90);

/// The name of the container, and of its volume. All binaries of a checkout share them, as services share a database.
fn name(scope: &Scope<'_>) -> String {
    let suffix = match scope.kind {
        Kind::Run => "",
        Kind::Test => "-test",
    };
    format!(
        "underlay-{}-{}-{}{suffix}",
        scope.checkout.name(),
        scope.checkout.id,
        scope.namespace
    )
}

/// Joins the container of the last start if it still answers; the warm start.
pub(crate) async fn join(
    scope: &Scope<'_>,
    record: &Record,
) -> Result<Option<(Server, PgConnection)>, Error> {
    if record.detail != image::name(scope) {
        return Ok(None);
    }
    if let (Some(port), Address::Tcp { port: actual, .. }) = (scope.settings.port, &record.address)
        && port != *actual
    {
        return Ok(None);
    }
    // The password is random, so whoever accepts it is the server of the record.
    let server = server(
        record.address.clone(),
        record.password.clone(),
        record.detail.clone(),
    );
    match admin::connect_once(&server.options).await {
        Ok(connection) => Ok(Some((server, connection))),
        Err(problem) => {
            let message = format!(
                "the container of the last start is not reached: {}",
                problem.text
            );
            scope.reporter.report(Event::Debug { message: &message });
            Ok(None)
        }
    }
}

fn server(address: Address, password: String, image: String) -> Server {
    Server {
        rung: Rung::Docker,
        options: admin::options(&address, USER, &password, "postgres"),
        address,
        user: USER.to_owned(),
        password,
        detail: image,
        tls: None,
        #[cfg(unix)]
        guard: None,
    }
}

/// Starts the container of this namespace, or makes it; the caller holds the start lock.
pub(crate) async fn take(scope: &Scope<'_>) -> Result<(Server, PgConnection), Refusal> {
    let engine = docker::connect().await.map_err(Refusal::Unavailable)?;
    let message = format!("Docker answers at {}", engine.address);
    scope.reporter.report(Event::Debug { message: &message });
    let image = image::name(scope);
    let major = image::provide(scope, &engine, &image).await?;
    let name = name(scope);
    if scope.kind == Kind::Run {
        provide_volume(scope, &engine.docker, &name, major.as_deref()).await?;
    }
    let mut container = inspect(&engine.docker, &name).await?;
    if let Some(existing) = &container
        && (label(existing, LABEL_IMAGE) != Some(&image) || is_bound_elsewhere(scope, existing))
    {
        remove(&engine.docker, &name).await?;
        container = None;
    }
    let password = password(scope, container.as_ref())?;
    let is_new = container.is_none();
    let container = match container {
        Some(container) => container,
        None => create(scope, &engine.docker, &name, &image, &password).await?,
    };
    let container = if is_running(&container) {
        container
    } else {
        start(scope, &engine.docker, &name).await?
    };
    let port = port_of(&container).ok_or_else(|| {
        failure(format!(
            "the container {name} has no port on this machine; remove it: docker rm -f {name}"
        ))
    })?;
    let server = server(
        Address::Tcp {
            host: "127.0.0.1".to_owned(),
            port,
        },
        password,
        image,
    );
    let ready = wait_until_ready(&engine.docker, &name, &server);
    let mut connection = waiting(
        scope.reporter,
        "PostgreSQL in its container to start",
        ready,
    )
    .await?;
    if is_new {
        make_login_cheap(&mut connection, &server).await?;
    }
    Ok((server, connection))
}

/// The password of this namespace's containers: the one its container was made with, else the one that is kept for its
/// volume, which may outlive a container, else a new one.
fn password(
    scope: &Scope<'_>,
    container: Option<&ContainerInspectResponse>,
) -> Result<String, Error> {
    let path = scope
        .folder()
        .join(format!("{}.password", scope.kind.stem()));
    let kept = match fs::read_to_string(&path) {
        Ok(text) => Some(text.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(Error::state("read", &path, &error)),
    };
    let known = container.and_then(password_of).or_else(|| kept.clone());
    let password = known.unwrap_or_else(|| hex::encode(rand::random::<[u8; 16]>()));
    if kept.as_ref() != Some(&password) {
        write_private(&path, password.as_bytes())?;
    }
    Ok(password)
}

fn failure(message: String) -> Error {
    Error::new(ErrorKind::Docker, message)
}

fn is_running(container: &ContainerInspectResponse) -> bool {
    container
        .state
        .as_ref()
        .and_then(|state| state.running)
        .unwrap_or_default()
}

fn label<'a>(container: &'a ContainerInspectResponse, name: &str) -> Option<&'a String> {
    container.config.as_ref()?.labels.as_ref()?.get(name)
}

fn password_of(container: &ContainerInspectResponse) -> Option<String> {
    image::variable(container.config.as_ref()?.env.as_ref(), "POSTGRES_PASSWORD")
}

fn port_of(container: &ContainerInspectResponse) -> Option<u16> {
    let ports = container.network_settings.as_ref()?.ports.as_ref()?;
    let bindings = ports.get("5432/tcp")?.as_ref()?;
    bindings
        .iter()
        .find_map(|binding| binding.host_port.as_ref()?.parse().ok())
}

/// Whether the settings pin another port than the one the container was made with.
fn is_bound_elsewhere(scope: &Scope<'_>, container: &ContainerInspectResponse) -> bool {
    let Some(port) = scope.settings.port else {
        return false;
    };
    let bound = || {
        let bindings = container
            .host_config
            .as_ref()?
            .port_bindings
            .as_ref()?
            .get("5432/tcp")?
            .as_ref()?;
        bindings.first()?.host_port.clone()
    };
    bound() != Some(port.to_string())
}

async fn inspect(docker: &Docker, name: &str) -> Result<Option<ContainerInspectResponse>, Error> {
    match docker.inspect_container(name, None).await {
        Ok(container) => Ok(Some(container)),
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(failure(format!(
            "Docker cannot look at the container {name}: {}",
            text_of(&error)
        ))),
    }
}

/// Removes a container with its anonymous volumes; the data is in a named one.
async fn remove(docker: &Docker, name: &str) -> Result<(), Error> {
    let options = RemoveContainerOptionsBuilder::new()
        .v(true)
        .force(true)
        .build();
    match docker.remove_container(name, Some(options)).await {
        Err(error) if !is_not_found(&error) => Err(failure(format!(
            "Docker cannot remove the container {name}: {}",
            text_of(&error)
        ))),
        _ => Ok(()),
    }
}

/// Sees to it that the volume for the data is there, and that the image's version fits what is in it.
async fn provide_volume(
    scope: &Scope<'_>,
    docker: &Docker,
    name: &str,
    major: Option<&str>,
) -> Result<(), Error> {
    match docker.inspect_volume(name).await {
        Ok(volume) => {
            let labels = volume.labels;
            return match (labels.get(LABEL_MAJOR), major) {
                (Some(old), Some(new)) if old != new => Err(failure(format!(
                    "the data of namespace `{}` (volume {name}) belongs to PostgreSQL {old}, and the image holds \
                     PostgreSQL {new}; set `version = \"{old}\"` under [postgres] in underlay.toml, or start afresh: \
                     cargo underlay reset",
                    scope.namespace
                ))),
                _ => Ok(()),
            };
        }
        Err(error) if is_not_found(&error) => {}
        Err(error) => {
            return Err(failure(format!(
                "Docker cannot look at the volume {name}: {}",
                text_of(&error)
            )));
        }
    }
    let mut labels = docker::labels(
        scope.checkout,
        scope.namespace,
        scope.kind,
        scope.application,
    );
    if let Some(major) = major {
        labels.insert(LABEL_MAJOR.to_owned(), major.to_owned());
    }
    let request = VolumeCreateRequest {
        name: Some(name.to_owned()),
        labels: Some(labels),
        ..Default::default()
    };
    match docker.create_volume(request).await {
        Ok(_) => Ok(()),
        Err(error) => Err(failure(format!(
            "Docker cannot create the volume {name}: {}",
            text_of(&error)
        ))),
    }
}

async fn create(
    scope: &Scope<'_>,
    docker: &Docker,
    name: &str,
    image: &str,
    password: &str,
) -> Result<ContainerInspectResponse, Error> {
    let mut labels = docker::labels(
        scope.checkout,
        scope.namespace,
        scope.kind,
        scope.application,
    );
    labels.insert(LABEL_IMAGE.to_owned(), image.to_owned());
    let binding = PortBinding {
        host_ip: Some("127.0.0.1".to_owned()),
        // Empty: a free one, chosen at each start.
        host_port: Some(
            scope
                .settings
                .port
                .map(|port| port.to_string())
                .unwrap_or_default(),
        ),
    };
    let mut host = HostConfig {
        port_bindings: Some(HashMap::from([(
            "5432/tcp".to_owned(),
            Some(vec![binding]),
        )])),
        // Docker's 64 MB are too little for PostgreSQL's parallel queries.
        shm_size: Some(256 * 1024 * 1024),
        ..HostConfig::default()
    };
    let mut command = None;
    match scope.kind {
        Kind::Run => {
            host.mounts = Some(vec![Mount {
                target: Some(DATA.to_owned()),
                source: Some(name.to_owned()),
                typ: Some(MountType::VOLUME),
                ..Mount::default()
            }]);
        }
        Kind::Test => {
            host.tmpfs = Some(HashMap::from([(DATA.to_owned(), "rw".to_owned())]));
            let settings = TEST_SETTINGS
                .iter()
                .flat_map(|it| ["-c".to_owned(), (*it).to_owned()]);
            command = Some(
                std::iter::once("postgres".to_owned())
                    .chain(settings)
                    .collect(),
            );
        }
    }
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        env: Some(vec![
            format!("POSTGRES_USER={USER}"),
            format!("POSTGRES_PASSWORD={password}"),
            "POSTGRES_DB=postgres".to_owned(),
            format!("PGDATA={DATA}"),
            // A cluster that is lost while it is created is created again.
            "POSTGRES_INITDB_ARGS=--no-sync".to_owned(),
        ]),
        cmd: command,
        labels: Some(labels),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::new().name(name).build();
    docker
        .create_container(Some(options), body)
        .await
        .map_err(|error| {
            failure(format!(
                "Docker cannot create the container {name}: {}",
                text_of(&error)
            ))
        })?;
    inspect(docker, name)
        .await?
        .ok_or_else(|| failure(format!("the container {name} was created and is gone")))
}

async fn start(
    scope: &Scope<'_>,
    docker: &Docker,
    name: &str,
) -> Result<ContainerInspectResponse, Error> {
    let starting = docker.start_container(name, None);
    waiting(scope.reporter, "Docker to start a container", starting).await.map_err(|error| {
        let text = text_of(&error);
        match scope.settings.port {
            Some(port) if text.contains("port is already allocated") || text.contains("address already in use") => {
                failure(format!(
                    "port {port}, which underlay.toml gives to PostgreSQL, is taken; change `port` under [postgres] or \
                     remove it, then any free one is used"
                ))
            }
            _ => failure(format!("Docker cannot start the container {name}: {text}")),
        }
    })?;
    inspect(docker, name)
        .await?
        .ok_or_else(|| failure(format!("the container {name} was started and is gone")))
}

async fn wait_until_ready(
    docker: &Docker,
    name: &str,
    server: &Server,
) -> Result<PgConnection, Error> {
    let begin = Instant::now();
    let mut looked = Instant::now();
    loop {
        // While the cluster is created the port already answers, but nobody speaks PostgreSQL behind it.
        let problem = match admin::connect_once(&server.options).await {
            Ok(connection) => return Ok(connection),
            Err(problem) => problem.text,
        };
        if problem.contains("password authentication failed") {
            return Err(failure(format!(
                "the data in the volume {name} has another password than the one in .underlay/; put the right one into \
                 .underlay/<namespace>/postgres.password, or start afresh: cargo underlay reset"
            )));
        }
        if looked.elapsed() > Duration::from_millis(500) {
            looked = Instant::now();
            if !inspect(docker, name)
                .await?
                .is_some_and(|container| is_running(&container))
            {
                let reason = last_words(docker, name).await;
                return Err(failure(format!(
                    "PostgreSQL in the container {name} does not start: {reason} (see docker logs {name})"
                )));
            }
        }
        if begin.elapsed() > START_PATIENCE {
            return Err(failure(format!(
                "PostgreSQL in the container {name} is not ready after {} s: {problem} (see docker logs {name})",
                START_PATIENCE.as_secs()
            )));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Lets the server keep the password with one round of hashing instead of thousands.
///
/// The rounds protect passwords that can be guessed. Ours is random, and an unoptimised build of the application would
/// spend some 50 ms of CPU on them at every connection.
async fn make_login_cheap(connection: &mut PgConnection, server: &Server) -> Result<(), Error> {
    // Older servers do not know the setting; with them the rounds stay.
    if connection
        .server_version_num()
        .is_none_or(|number| number < 160_000)
    {
        return Ok(());
    }
    let sql = format!(
        "SET scram_iterations = 1; ALTER ROLE {USER} PASSWORD '{}'; RESET scram_iterations",
        server.password.replace('\'', "''")
    );
    match connection.execute(AssertSqlSafe(sql)).await {
        Ok(_) => Ok(()),
        Err(error) => Err(failure(format!(
            "cannot prepare the role {USER}: {}",
            admin::text_of(&error)
        ))),
    }
}

/// The line of the container's log that says why it ended.
async fn last_words(docker: &Docker, name: &str) -> String {
    let options = LogsOptionsBuilder::new()
        .stdout(true)
        .stderr(true)
        .tail("20")
        .build();
    let mut stream = std::pin::pin!(docker.logs(name, Some(options)));
    let mut text = String::new();
    while let Some(Ok(output)) = stream.next().await {
        text.push_str(&output.to_string());
    }
    super::first_problem(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Checkout, Silent, settings::PostgresSettings};

    #[test]
    fn images_and_names() {
        let checkout = Checkout {
            root: "/w".into(),
            state: "/w/.underlay".into(),
            id: "0123abcd".to_owned(),
        };
        let check = |version: Option<&str>, chosen: Option<&str>, expected: &str| {
            let settings = PostgresSettings {
                image: chosen.map(str::to_owned),
                version: version.map(str::to_owned),
                ..PostgresSettings::default()
            };
            let scope = Scope {
                checkout: &checkout,
                namespace: "default",
                kind: Kind::Test,
                application: "shop",
                settings: &settings,
                reporter: &Silent,
            };
            assert_eq!(image::name(&scope), expected);
            assert_eq!(name(&scope), "underlay-w-0123abcd-default-test");
        };
        check(None, None, "postgres:17");
        check(Some("16.4"), None, "postgres:16.4");
        check(None, Some("localhost:5000/pg"), "localhost:5000/pg:latest");
        check(
            Some("16"),
            Some("pgvector/pgvector:pg17"),
            "pgvector/pgvector:pg17",
        );
        check(None, Some("postgres@sha256:0f"), "postgres@sha256:0f");
    }
}
