//! From the inventory to an application that serves, in the order of design §6; and back.

#[cfg(feature = "postgres")]
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use underlay_backends::memory::Broker;
use underlay_model::{Declaration, InfraConfig, Model, Problem, Severity};

use crate::bind::{self, Backends};
use crate::consume::Consumer;
use crate::inventory::{self, Entry, Item};
use crate::listen::{self, Listener};
use crate::schedule;
use crate::server::{self, Jobs, Served};
use crate::{Error, ErrorKind, Result};

/// How long a shutdown may take, unless the infra config says otherwise.
const SHUTDOWN: Duration = Duration::from_secs(10);
/// What says that this process runs in a deployment, where nothing must be provisioned.
const DEPLOYMENT_VARIABLES: [&str; 6] = [
    "KUBERNETES_SERVICE_HOST",
    "ECS_CONTAINER_METADATA_URI",
    "ECS_CONTAINER_METADATA_URI_V4",
    "K_SERVICE",
    "CLOUD_RUN_JOB",
    "AWS_LAMBDA_FUNCTION_NAME",
];

/// Statics are bound once for the process.
static STARTED: AtomicBool = AtomicBool::new(false);

/// An application that has been started.
#[must_use = "the subscriptions stop when this is dropped"]
pub struct Running {
    address: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    server: Option<JoinHandle<std::io::Result<()>>>,
    /// The subscriptions' loops and the scheduler.
    tasks: Vec<JoinHandle<()>>,
    brokers: Vec<Broker>,
    #[cfg(feature = "postgres")]
    pools: Vec<sqlx::PgPool>,
    shutdown: Duration,
    readiness: Arc<AtomicBool>,
    /// Keeps local servers alive.
    _local: Option<crate::local::Guard>,
}

/// The time that each part of a start took.
#[derive(Default)]
struct Phases(Vec<(&'static str, Duration)>);

impl Phases {
    fn add(&mut self, name: &'static str, since: &mut Instant) {
        self.0.push((name, since.elapsed()));
        *since = Instant::now();
    }
}

impl std::fmt::Display for Phases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (name, time)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{name} {:.1} ms", time.as_secs_f64() * 1000.0)?;
        }
        Ok(())
    }
}

/// The model of everything that is declared in this binary.
///
/// # Errors
///
/// [`ErrorKind::Configuration`] if a declaration cannot be read, which is a defect of Underlay.
pub fn model() -> Result<Model> {
    let entries = inventory::entries().map_err(configuration)?;
    Ok(inventory::model(&entries))
}

/// One error that lists all problems.
pub(crate) fn configuration(problems: Vec<String>) -> Error {
    let text = match &*problems {
        [only] => only.clone(),
        all => {
            let list: String = all
                .iter()
                .map(|problem| format!("\n- {}", problem.replace('\n', "\n  ")))
                .collect();
            format!(
                "{} problems keep the application from starting:{list}",
                all.len()
            )
        }
    };
    Error::new(ErrorKind::Configuration, text)
}

/// Starts everything, with a server if a router is given.
pub(crate) async fn start(server: Option<(Router, Option<SocketAddr>)>) -> Result<Running> {
    if STARTED.swap(true, Ordering::AcqRel) {
        return Err(Error::new(
            ErrorKind::Configuration,
            "the application is started already; start it once",
        ));
    }
    let started = start_once(server).await;
    if started.is_err() {
        // Nothing is bound before everything is connected, so another attempt may succeed.
        STARTED.store(false, Ordering::Release);
    }
    started
}

async fn start_once(server: Option<(Router, Option<SocketAddr>)>) -> Result<Running> {
    let begin = Instant::now();
    let mut since = begin;
    let mut phases = Phases::default();

    let entries = inventory::entries().map_err(configuration)?;
    let model = inventory::model(&entries);
    check(&model)?;
    phases.add("check", &mut since);

    let configured = read_config()?;
    let local = configured.is_none();
    let (router, listener) = match server {
        None => (None, None),
        Some((router, address)) => (Some(router), Some(listen::listen(address, local).await?)),
    };
    let (config, guard) = match configured {
        Some(config) => (config, None),
        None => {
            let (config, guard) = crate::local::provision(&model).await?;
            (config, Some(guard))
        }
    };
    phases.add("provision", &mut since);

    if let Some(filter) = &config.log_config {
        crate::logs::filter(filter)?;
    }
    if !local {
        let mut problems: Vec<String> = config
            .missing(&model)
            .iter()
            .map(|problem| format!("infra config: {}", problem.message))
            .collect();
        if config.cron.as_ref().is_some_and(|cron| cron.enabled) {
            let problem = "infra config: cron.enabled: several processes may run there, and choosing one of them to \
                           run the jobs is not supported yet; let an outer scheduler call them";
            problems.push(problem.to_owned());
        }
        if !problems.is_empty() {
            return Err(configuration(problems));
        }
    }
    let base_url = base_url(&config, listener.as_ref());
    let backends = bind::connect(&config, &model, &base_url)
        .await
        .map_err(configuration)?;
    phases.add("connect", &mut since);

    #[cfg(feature = "postgres")]
    let (backends, pools) = migrate(backends, &entries, &config).await?;
    phases.add("migrate", &mut since);

    let bound = bind_statics(
        &entries,
        backends,
        #[cfg(feature = "postgres")]
        &pools,
    )?;
    let (stop, stopped) = watch::channel(false);
    let mut tasks: Vec<JoinHandle<()>> = bound
        .consumers
        .iter()
        .map(|it| tokio::spawn(Arc::clone(it).run(stopped.clone())))
        .collect();
    if config.cron.as_ref().is_some_and(|cron| cron.enabled) {
        tasks.extend(schedule::start(&model, &bound.jobs, &stopped).map_err(configuration)?);
    }
    let readiness = Arc::new(AtomicBool::new(true));
    let address = listener.as_ref().map(|it| it.address);
    let server = match (router, listener) {
        (Some(router), Some(listener)) => {
            let served = Served {
                local,
                readiness: Arc::clone(&readiness),
                jobs: bound.jobs,
                buckets: bound.buckets,
                signing_key: bound.signing_key,
                #[cfg(feature = "postgres")]
                pools: pools.clone(),
            };
            let router = server::router(&model, &entries, router, served)?;
            Some(tokio::spawn(server::serve(
                listener.listener,
                router,
                stopped.clone(),
            )))
        }
        _ => None,
    };
    phases.add("serve", &mut since);

    if let Some(address) = address {
        tracing::info!(target: "underlay", "listening on http://{address}");
    }
    let total = begin.elapsed().as_secs_f64() * 1000.0;
    tracing::info!(target: "underlay", "ready in {total:.1} ms ({phases})");
    let shutdown = config
        .graceful_shutdown
        .total
        .map_or(SHUTDOWN, |seconds| Duration::from_secs(seconds.into()));
    Ok(Running {
        address,
        stop,
        server,
        tasks,
        brokers: bound.brokers,
        #[cfg(feature = "postgres")]
        pools: pools.into_values().collect(),
        shutdown,
        readiness,
        _local: guard,
    })
}

/// The rules that need the whole model.
fn check(model: &Model) -> Result<()> {
    let mut errors = Vec::new();
    for problem in underlay_model::check::check(model) {
        match problem.severity {
            Severity::Error => errors.push(without_severity(&problem)),
            Severity::Warning => {
                tracing::warn!(target: "underlay", "{}", without_severity(&problem));
            }
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(configuration(errors))
    }
}

/// A problem with its places; whoever tells it says how bad it is.
fn without_severity(problem: &Problem) -> String {
    let places = problem
        .sources
        .iter()
        .map(|source| format!("\n  --> {source}"));
    std::iter::once(problem.message.clone())
        .chain(places)
        .collect()
}

/// The infra config that `UNDERLAY_INFRA` names or holds; `None` to provision locally.
fn read_config() -> Result<Option<InfraConfig>> {
    let variable = |name: &str| std::env::var(name).ok();
    let Some(value) = variable("UNDERLAY_INFRA").filter(|value| !value.trim().is_empty()) else {
        return match DEPLOYMENT_VARIABLES
            .iter()
            .find(|name| std::env::var_os(name).is_some())
        {
            Some(name) => Err(configuration(vec![format!(
                "{name} is set, so this is a deployment, and nothing is provisioned there: set UNDERLAY_INFRA to the \
                 path of the infra config, or to its text"
            )])),
            None => Ok(None),
        };
    };
    let (text, origin) = if value.trim_start().starts_with('{') {
        (value, "UNDERLAY_INFRA".to_owned())
    } else {
        let text = std::fs::read_to_string(&value).map_err(|error| {
            configuration(vec![format!(
                "the infra config {value}, which UNDERLAY_INFRA names, cannot be read: {error}"
            )])
        })?;
        (text, value)
    };
    let config = InfraConfig::read(&text, &variable).map_err(|problems| {
        configuration(
            problems
                .iter()
                .map(|problem| format!("infra config {origin}: {problem}"))
                .collect(),
        )
    })?;
    Ok(Some(config))
}

/// Where this application is reached.
fn base_url(config: &InfraConfig, listener: Option<&Listener>) -> String {
    match (&config.metadata.base_url, listener) {
        (Some(url), _) => url.trim_end_matches('/').to_owned(),
        (None, Some(listener)) => format!("http://{}", listener.address),
        (None, None) => "http://127.0.0.1:4000".to_owned(),
    }
}

#[cfg(feature = "postgres")]
async fn migrate(
    mut backends: Backends,
    entries: &[Entry],
    config: &InfraConfig,
) -> Result<(Backends, BTreeMap<String, sqlx::PgPool>)> {
    use underlay_model::infra::Migrations;

    let opened = std::mem::take(&mut backends.databases);
    let statics = match config.migrations {
        Migrations::OnStart => databases(entries),
        Migrations::Off => BTreeMap::new(),
        Migrations::Job => {
            return Err(configuration(vec![
                "infra config: migrations: `job` is not supported yet; `on-start` and `off` are"
                    .to_owned(),
            ]));
        }
    };
    let pools = crate::sql::migrate(opened, &statics)
        .await
        .map_err(configuration)?;
    Ok((backends, pools))
}

/// The database statics, by declared name.
#[cfg(feature = "postgres")]
pub(crate) fn databases(entries: &[Entry]) -> BTreeMap<String, &'static crate::Database> {
    entries
        .iter()
        .filter_map(|entry| match (&entry.declaration, entry.item) {
            (Declaration::Database(it), Item::Database(database)) => {
                Some((it.name.clone(), *database))
            }
            _ => None,
        })
        .collect()
}

/// What is left to run once the statics are bound.
pub(crate) struct Bound {
    pub(crate) consumers: Vec<Arc<Consumer>>,
    pub(crate) jobs: Jobs,
    pub(crate) buckets: server::Buckets,
    pub(crate) signing_key: underlay_backends::disk::SigningKey,
    pub(crate) brokers: Vec<Broker>,
}

/// Binds every static to its backend: in the current test scope if there is one, else for the process.
///
/// # Errors
///
/// A declaration that nothing was connected for, or a secret whose value is not of its type.
pub(crate) fn bind_statics(
    entries: &[Entry],
    mut backends: Backends,
    #[cfg(feature = "postgres")] pools: &BTreeMap<String, sqlx::PgPool>,
) -> Result<Bound> {
    let mut problems = Vec::new();
    let mut consumers = Vec::new();
    let mut jobs = Jobs::new();
    for Entry { declaration, item } in entries {
        let unbound = |kind: &str, name: &str| {
            let place = declaration
                .source()
                .map(ToString::to_string)
                .unwrap_or_default();
            format!("the {kind} `{name}`, declared at {place}, is not bound by the infra config")
        };
        match (declaration, item) {
            #[cfg(feature = "postgres")]
            (Declaration::Database(it), Item::Database(database)) => match pools.get(&it.name) {
                Some(pool) => database.bind(pool.clone()),
                None => problems.push(unbound("database", &it.name)),
            },
            (Declaration::Topic(it), Item::Topic(topic)) => match backends.topics.get(&it.name) {
                Some(backend) => topic.bind(Arc::clone(backend)),
                None => problems.push(unbound("topic", &it.name)),
            },
            (Declaration::Subscription(it), Item::Subscription(handle)) => {
                match backends
                    .subscriptions
                    .remove(&(it.topic.clone(), it.name.clone()))
                {
                    Some(source) => match Consumer::new(it, *handle, source) {
                        Ok(consumer) => consumers.push(Arc::new(consumer)),
                        Err(problem) => problems.push(problem),
                    },
                    None => problems.push(unbound("subscription", &it.name)),
                }
            }
            (Declaration::Cron(it), Item::Cron(handler)) => {
                jobs.insert(it.name.clone(), *handler);
            }
            (Declaration::Bucket(it), Item::Bucket(bucket)) => match backends.buckets.get(&it.name)
            {
                Some(backend) => bucket.bind(Arc::clone(backend)),
                None => problems.push(unbound("bucket", &it.name)),
            },
            (Declaration::Cache(it), Item::Cache(cache)) => match backends.caches.get(&it.name) {
                Some(backend) => cache.bind(Arc::clone(backend)),
                None => problems.push(unbound("cache", &it.name)),
            },
            (Declaration::Secret(it), Item::Secret(secret)) => {
                if let Err(problem) =
                    secret.bind(backends.secrets.get(&it.name).map(String::as_str))
                {
                    problems.push(problem);
                }
            }
            _ => {}
        }
    }
    if !problems.is_empty() {
        return Err(configuration(problems));
    }
    Ok(Bound {
        consumers,
        jobs,
        buckets: backends.buckets,
        signing_key: backends.signing_key,
        brokers: backends.brokers,
    })
}

impl Running {
    /// Where the server listens; `None` without a server.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Serves until SIGTERM or Ctrl-C, then shuts down. A second signal ends the process at once.
    ///
    /// # Errors
    ///
    /// Why the server failed, or that the drain did not end in time.
    pub async fn serve_until_signal(mut self) -> Result<()> {
        let server = self.server.take();
        let failed = async {
            match server {
                Some(server) => server.await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(failed);
        tokio::select! {
            signal = crate::signal::stop() => {
                tracing::info!(target: "underlay", "{signal}: stopping; once more to stop at once");
                tokio::spawn(async {
                    crate::signal::stop().await;
                    std::process::exit(130);
                });
            }
            result = &mut failed => {
                let cause = result.map_err(std::io::Error::other).and_then(|result| result);
                self.shutdown().await?;
                return cause.map_err(|error| Error::message("the HTTP server failed").with_source(error));
            }
        }
        self.drain(async { failed.await.map_err(std::io::Error::other)? })
            .await
    }

    /// Stops accepting and receiving, waits for what runs, and closes everything.
    ///
    /// # Errors
    ///
    /// That what runs did not end in the time that the infra config gives (10 s by default).
    pub async fn shutdown(mut self) -> Result<()> {
        let server = self.server.take();
        let served = async {
            match server {
                Some(server) => server.await.map_err(std::io::Error::other)?,
                None => Ok(()),
            }
        };
        self.drain(served).await
    }

    async fn drain(self, server: impl Future<Output = std::io::Result<()>>) -> Result<()> {
        let begin = Instant::now();
        self.readiness.store(false, Ordering::Release);
        self.stop.send_replace(true);
        let drained = tokio::time::timeout(self.shutdown, async {
            let served = server.await;
            for task in self.tasks {
                // It ends by itself; handlers' panics do not reach it.
                let _ = task.await;
            }
            for broker in &self.brokers {
                broker.close().await?;
            }
            #[cfg(feature = "postgres")]
            for pool in &self.pools {
                pool.close().await;
            }
            served.map_err(Error::from)
        })
        .await;
        match drained {
            Ok(result) => {
                tracing::info!(target: "underlay", "stopped in {:.0?}", begin.elapsed());
                result
            }
            Err(_) => Err(Error::message(format!(
                "what was running did not end within {:?}; messages that were being handled will be delivered again",
                self.shutdown
            ))),
        }
    }
}
