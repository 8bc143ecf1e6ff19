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
use underlay_backends::topic::Broker;
#[cfg(feature = "postgres")]
use underlay_backends::topic::Topic;
use underlay_model::infra::Migrations;
use underlay_model::{Declaration, InfraConfig, Model};

use crate::bind::{self, Backends};
use crate::config::{self, configuration};
use crate::consume::Consumer;
#[cfg(feature = "postgres")]
use crate::database::Pools;
use crate::dead_letters;
#[cfg(feature = "postgres")]
use crate::idempotence::Idempotence;
use crate::inventory::{self, Entry, Item};
use crate::listen::{self, Listener};
use crate::local::Guard;
#[cfg(feature = "postgres")]
use crate::outbox::Relay;
use crate::push::Pushes;
use crate::schedule;
use crate::server::{self, Jobs, Served};
use crate::signal::Stop;
#[cfg(feature = "postgres")]
use crate::sql;
use crate::task;
use crate::topic;
use crate::{Error, ErrorKind, Result};

/// How long a shutdown may take, unless the infra config says otherwise.
const SHUTDOWN: Duration = Duration::from_secs(10);
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
    /// What sends the messages in outboxes; it stops after everything that may publish.
    #[cfg(feature = "postgres")]
    relays: (watch::Sender<bool>, Vec<JoinHandle<()>>),
    brokers: Vec<Arc<dyn Broker>>,
    #[cfg(feature = "postgres")]
    pools: Vec<sqlx::PgPool>,
    shutdown: Duration,
    readiness: Arc<AtomicBool>,
    /// Keeps local servers alive, and tells others of this application.
    local: Option<Guard>,
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

/// Starts everything, with a server if a router is given.
pub(crate) async fn start(server: Option<(Router, Option<SocketAddr>)>) -> Result<Running> {
    if STARTED.swap(true, Ordering::AcqRel) {
        return Err(Error::new(
            ErrorKind::Configuration,
            "the application is started already; start it once",
        ));
    }
    if let Some(task) = task::asked()? {
        // For a `main` without `#[underlay::main]`, which would have seen to it: nothing after a job shall run.
        let outcome = task::run(task).await;
        std::process::exit(crate::main_fn::status(outcome));
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
    config::check(&model)?;
    phases.add("check", &mut since);

    let configured = config::read()?;
    let local = configured.is_none();
    let (router, listener) = match server {
        None => (None, None),
        Some((router, address)) => (Some(router), Some(listen::listen(address, local).await?)),
    };
    let (config, guard) = located(configured, &model, &model).await?;
    phases.add("provision", &mut since);

    let mode = config.migrations;
    let mut connected =
        Connected::connect(entries, model, config, guard, listener.as_ref()).await?;
    phases.add("connect", &mut since);
    connected.migrate(mode).await?;
    phases.add("migrate", &mut since);

    let (declared, bound) = connected.bind()?;
    let Declared {
        entries,
        model,
        config,
        mut guard,
    } = declared;
    let (stop, stopped) = watch::channel(false);
    let mut tasks: Vec<JoinHandle<()>> = bound
        .consumers
        .iter()
        .map(|it| tokio::spawn(Arc::clone(it).run(stopped.clone())))
        .collect();
    #[cfg(feature = "postgres")]
    let relays = {
        let (stop, stopped) = watch::channel(false);
        let relays = bound.relays.into_iter();
        let running = relays.map(|it| tokio::spawn(it.run(stopped.clone())));
        (stop, running.collect())
    };
    if config.cron.as_ref().is_some_and(|cron| cron.enabled) {
        tasks.extend(schedule::start(&model, &bound.jobs, &stopped).map_err(configuration)?);
    }
    #[cfg(feature = "postgres")]
    if !bound.pools.is_empty() {
        tasks.push(tokio::spawn(crate::database::metrics::report(
            bound.pools.clone(),
            stopped.clone(),
        )));
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
                pushes: bound.pushes,
                signing_key: bound.signing_key,
                #[cfg(feature = "postgres")]
                pools: bound.pools.clone(),
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
        if let Some(guard) = &mut guard {
            guard.announce(&config, address);
        }
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
        #[cfg(feature = "postgres")]
        relays,
        brokers: bound.brokers,
        #[cfg(feature = "postgres")]
        pools: bound.pools.values().flat_map(Pools::all).collect(),
        shutdown,
        readiness,
        local: guard,
    })
}

/// Where this application is reached.
fn base_url(config: &InfraConfig, listener: Option<&Listener>) -> String {
    match (&config.metadata.base_url, listener) {
        (Some(url), _) => url.trim_end_matches('/').to_owned(),
        (None, Some(listener)) => format!("http://{}", listener.address),
        (None, None) => "http://127.0.0.1:4000".to_owned(),
    }
}

/// The infra config that is given, or what the provisioner says once everything runs here.
pub(crate) async fn located(
    configured: Option<InfraConfig>,
    model: &Model,
    whole: &Model,
) -> Result<(InfraConfig, Option<Guard>)> {
    match configured {
        None => {
            let (config, guard) = crate::local::provision(model, whole).await?;
            Ok((config, Some(guard)))
        }
        Some(config) => {
            let mut problems: Vec<String> = config
                .missing(model)
                .iter()
                .map(|problem| format!("infra config: {}", problem.message))
                .collect();
            if config.cron.as_ref().is_some_and(|cron| cron.enabled) {
                let problem = "infra config: cron.enabled: several processes may run there, and choosing one of them \
                               to run the jobs is not supported yet; let an outer scheduler call them";
                problems.push(problem.to_owned());
            }
            if problems.is_empty() {
                Ok((config, None))
            } else {
                Err(configuration(problems))
            }
        }
    }
}

/// What is declared, and where it is.
pub(crate) struct Declared {
    entries: Vec<Entry>,
    model: Model,
    config: InfraConfig,
    guard: Option<Guard>,
}

/// Everything that is declared, connected, and not yet bound.
pub(crate) struct Connected {
    declared: Declared,
    backends: Backends,
    #[cfg(feature = "postgres")]
    pub(crate) migrated: Vec<sql::Migrated>,
}

impl Connected {
    pub(crate) async fn connect(
        entries: Vec<Entry>,
        model: Model,
        config: InfraConfig,
        guard: Option<Guard>,
        listener: Option<&Listener>,
    ) -> Result<Self> {
        if let Some(filter) = &config.log_config {
            crate::logs::filter(filter)?;
        }
        let backends = bind::connect(&config, &model, &base_url(&config, listener))
            .await
            .map_err(configuration)?;
        Ok(Self {
            declared: Declared {
                entries,
                model,
                config,
                guard,
            },
            backends,
            #[cfg(feature = "postgres")]
            migrated: Vec::new(),
        })
    }

    /// Sees to the migrations: those in the binary, or, in a local run, those on disk.
    pub(crate) async fn migrate(&mut self, mode: Migrations) -> Result<()> {
        #[cfg(feature = "postgres")]
        {
            let root = self.declared.guard.as_ref().and_then(Guard::root);
            let mut schemas = sql::schemas(&self.declared.entries, root).map_err(configuration)?;
            if mode == Migrations::OnStart && self.declared.config.migrations == Migrations::Off {
                // The job, where the application's own migrations are somebody else's business.
                schemas.values_mut().for_each(|it| it.migrations.clear());
            }
            let opened = std::mem::take(&mut self.backends.databases);
            let migrated = sql::migrate(opened, &schemas, mode).await;
            self.migrated = migrated.map_err(configuration)?;
        }
        #[cfg(not(feature = "postgres"))]
        let _ = mode;
        Ok(())
    }

    /// The receiving sides of the subscriptions, for a job that binds nothing.
    pub(crate) fn subscriptions(&self) -> &dead_letters::Sources {
        &self.backends.subscriptions
    }

    /// Closes the connections again, for a job that binds nothing.
    ///
    /// # Errors
    ///
    /// That a broker could not write what is left.
    pub(crate) async fn close(self) -> Result<()> {
        for broker in &self.backends.brokers {
            broker.close().await?;
        }
        #[cfg(feature = "postgres")]
        for pool in self.migrated.iter().flat_map(|it| it.pools.all()) {
            pool.close().await;
        }
        Ok(())
    }

    /// Binds the statics.
    pub(crate) fn bind(self) -> Result<(Declared, Bound)> {
        #[cfg(feature = "postgres")]
        let pools = sql::pools(&self.migrated);
        let bound = bind_statics(
            &self.declared.entries,
            self.backends,
            #[cfg(feature = "postgres")]
            pools,
        )?;
        Ok((self.declared, bound))
    }
}

impl Bound {
    /// Closes what a job has used.
    pub(crate) async fn close(self) -> Result<()> {
        for broker in &self.brokers {
            broker.close().await?;
        }
        #[cfg(feature = "postgres")]
        for pool in self.pools.values().flat_map(Pools::all) {
            pool.close().await;
        }
        Ok(())
    }
}

/// What is left to run once the statics are bound.
pub(crate) struct Bound {
    pub(crate) consumers: Vec<Arc<Consumer>>,
    #[cfg(feature = "postgres")]
    pub(crate) relays: Vec<Relay>,
    pub(crate) jobs: Jobs,
    pub(crate) buckets: server::Buckets,
    pub(crate) signing_key: underlay_backends::disk::SigningKey,
    pub(crate) pushes: Pushes,
    pub(crate) brokers: Vec<Arc<dyn Broker>>,
    #[cfg(feature = "postgres")]
    pub(crate) pools: BTreeMap<String, Pools>,
}

/// Binds every static to its backend: in the current test scope if there is one, else for the process.
///
/// # Errors
///
/// A declaration that nothing was connected for, or a secret whose value is not of its type.
pub(crate) fn bind_statics(
    entries: &[Entry],
    backends: Backends,
    #[cfg(feature = "postgres")] pools: BTreeMap<String, Pools>,
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
                Some(pools) => database.bind(pools.clone()),
                None => problems.push(unbound("database", &it.name)),
            },
            #[cfg(feature = "postgres")]
            (Declaration::Reference(it), Item::Database(database)) => {
                match pools.get(&it.resource) {
                    Some(pools) => database.bind(pools.clone()),
                    None => problems.push(unbound("database", &it.resource)),
                }
            }
            (Declaration::Topic(it), Item::Topic(topic)) => match backends.topics.get(&it.name) {
                Some(backend) => topic.bind(topic::Bound {
                    topic: Arc::clone(backend),
                    max_message_bytes: backends.max_message_bytes.get(&it.name).copied(),
                }),
                None => problems.push(unbound("topic", &it.name)),
            },
            (Declaration::Subscription(it), Item::Subscription(handle)) => {
                let key = (it.topic.clone(), it.name.clone());
                match backends.subscriptions.get(&key) {
                    Some(source) => match Consumer::new(it, *handle, Arc::clone(source)) {
                        #[cfg(feature = "postgres")]
                        Ok(consumer) => match Idempotence::new(it, &pools) {
                            Ok(idempotence) => {
                                consumers.push(Arc::new(consumer.idempotent(idempotence)));
                            }
                            Err(database) => problems.push(unbound("database", database)),
                        },
                        #[cfg(not(feature = "postgres"))]
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
    dead_letters::bind(backends.subscriptions);
    Ok(Bound {
        #[cfg(feature = "postgres")]
        relays: relays(entries, &pools, &backends.topics),
        consumers,
        jobs,
        buckets: backends.buckets,
        pushes: backends.pushes,
        signing_key: backends.signing_key,
        brokers: backends.brokers,
        #[cfg(feature = "postgres")]
        pools,
    })
}

/// A relay for each database with an outbox.
#[cfg(feature = "postgres")]
fn relays(
    entries: &[Entry],
    pools: &BTreeMap<String, Pools>,
    topics: &BTreeMap<String, Arc<dyn Topic>>,
) -> Vec<Relay> {
    let with_outbox = sql::with_tables(entries);
    let pools = pools.iter().filter(|(name, _)| with_outbox.contains(*name));
    pools
        .map(|(name, pools)| Relay::new(name, pools.clone(), topics.clone()))
        .collect()
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
    pub async fn serve_until_signal(self) -> Result<()> {
        self.serve_until(Stop::listen()?).await
    }

    pub(crate) async fn serve_until(mut self, mut stop: Stop) -> Result<()> {
        let server = self.server.take();
        let failed = async {
            match server {
                Some(server) => server.await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(failed);
        tokio::select! {
            signal = stop.next() => {
                tracing::info!(target: "underlay", "{signal}: stopping; once more to stop at once");
                tokio::spawn(async move {
                    stop.next().await;
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

    async fn drain(mut self, server: impl Future<Output = std::io::Result<()>>) -> Result<()> {
        let begin = Instant::now();
        if let Some(guard) = &mut self.local {
            guard.withdraw();
        }
        self.readiness.store(false, Ordering::Release);
        self.stop.send_replace(true);
        let drained = tokio::time::timeout(self.shutdown, async {
            let served = server.await;
            for task in self.tasks {
                // It ends by itself; handlers' panics do not reach it.
                let _ = task.await;
            }
            #[cfg(feature = "postgres")]
            {
                let (stop, relays) = self.relays;
                stop.send_replace(true);
                for relay in relays {
                    let _ = relay.await;
                }
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
