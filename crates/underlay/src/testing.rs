//! `#[underlay::test]`: every test owns its databases, topics, buckets, caches and secrets.
//!
//! A test's resources are bound in a scope of its own (`handle.rs`) by the same path as everywhere: an infra config,
//! which here names databases cloned for this test, and memory for everything else. Subscriptions and crons do not
//! run by themselves: [`drain`] and [`run_cron`] run them, so a test decides when.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use underlay_backends::topic as backend;
use underlay_model::{Declaration, Model};

use crate::consume::{Consumer, Outcome};
use crate::handle::{Scope, Slot};
use crate::inventory::{self, Entry, Item};
use crate::push::Pushes;
use crate::server::{self, Jobs, Served};
use crate::topic::{Message, Topic};
use crate::{Error, ErrorKind, Result, bind, config, start};

mod host;

/// What the functions of this module need of the test that calls them.
struct State {
    entries: Arc<Vec<Entry>>,
    model: Arc<Model>,
    consumers: Vec<Arc<Consumer>>,
    /// By topic.
    published: BTreeMap<String, Arc<Recorder>>,
    jobs: Jobs,
    buckets: server::Buckets,
    signing_key: underlay_backends::disk::SigningKey,
    #[cfg(feature = "postgres")]
    relays: Vec<crate::outbox::Relay>,
    #[cfg(feature = "postgres")]
    pools: BTreeMap<String, crate::database::Pools>,
}

static STATE: Slot<State> = Slot::new();

fn state() -> Result<&'static State> {
    STATE.get().ok_or_else(|| {
        Error::new(
            ErrorKind::NotStarted,
            "`underlay::testing` works only in a test with `#[underlay::test]`",
        )
    })
}

/// Delivers every message that is waiting, be it with the broker or in an outbox, to its subscriptions' handlers, and
/// those that the handlers publish, until none is left that could be delivered now. Returns how many deliveries were
/// handled.
///
/// # Errors
///
/// Every failure of a handler; a message that is to be tried again later is not waited for.
///
/// # Example
///
/// ```no_run
/// # async fn example() -> underlay::Result<()> {
/// // … publish …
/// assert_eq!(underlay::testing::drain().await?, 1);
/// # Ok(())
/// # }
/// ```
pub async fn drain() -> Result<usize> {
    drain_where(|_| true).await
}

async fn drain_where(wanted: impl Fn(&Consumer) -> bool) -> Result<usize> {
    let state = state()?;
    let consumers: Vec<_> = state.consumers.iter().filter(|it| wanted(it)).collect();
    let mut handled = 0;
    let mut failures = Vec::new();
    loop {
        #[cfg(feature = "postgres")]
        for relay in &state.relays {
            relay.send_due().await?;
        }
        let mut received_any = false;
        for consumer in &consumers {
            for received in consumer.receive_ready().await? {
                received_any = true;
                match consumer.deliver(received).await {
                    Outcome::Handled => handled += 1,
                    Outcome::Unwanted => {}
                    Outcome::Retried { reason, .. } => {
                        failures.push(format!("{}: {reason}", consumer.id()))
                    }
                    Outcome::DeadLettered { reason } => {
                        failures.push(format!("{}: dead-lettered: {reason}", consumer.id()));
                    }
                }
            }
        }
        if !received_any {
            break;
        }
    }
    match &*failures {
        [] => Ok(handled),
        [only] => Err(Error::message(format!(
            "a subscription's handler failed: {only}"
        ))),
        all => Err(Error::message(format!(
            "{} deliveries failed:\n- {}",
            all.len(),
            all.join("\n- ")
        ))),
    }
}

/// For tests with `#[underlay::test]`.
impl<T: Message> Topic<T> {
    /// The messages that this test has published to the topic, in the order of publishing; handled or not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotStarted`] outside of such a test; a message that is not a `T`.
    ///
    /// # Example
    ///
    /// ```no_run
    /// # use underlay::prelude::*;
    /// # #[derive(Message, Serialize, Deserialize)]
    /// # struct OrderPlaced { order_id: i64 }
    /// # #[topic("order-placed")]
    /// # static ORDER_PLACED: Topic<OrderPlaced>;
    /// #[underlay::test]
    /// async fn an_order_is_announced() -> underlay::Result<()> {
    ///     // … place an order …
    ///     assert_eq!(ORDER_PLACED.published()?.len(), 1);
    ///     assert_eq!(ORDER_PLACED.drain_subscriptions().await?, 2);
    ///     Ok(())
    /// }
    /// # fn main() {}
    /// ```
    pub fn published(&self) -> Result<Vec<T>> {
        let published = state()?.published.get(self.name());
        let published = published.map(|it| it.messages()).unwrap_or_default();
        let decoded = published.iter().map(|it| {
            T::__decode(&it.body).map_err(|error| {
                let text = format!(
                    "a message of topic `{}` could not be read back",
                    self.name()
                );
                Error::message(text).with_source(error)
            })
        });
        decoded.collect()
    }

    /// Delivers every message that waits in the topic's subscriptions to their handlers; otherwise as [`drain`].
    ///
    /// # Errors
    ///
    /// As [`drain`].
    pub async fn drain_subscriptions(&self) -> Result<usize> {
        drain_where(|it| it.topic() == self.name()).await
    }
}

/// A topic that remembers what was published to it.
struct Recorder {
    topic: Arc<dyn backend::Topic>,
    messages: Mutex<Vec<backend::Message>>,
}

impl Recorder {
    fn messages(&self) -> Vec<backend::Message> {
        let messages = self.messages.lock();
        messages.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl backend::Topic for Recorder {
    async fn publish(&self, message: backend::Message) -> underlay_backends::Result<String> {
        let id = self.topic.publish(message.clone()).await?;
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.push(message);
        Ok(id)
    }

    async fn publish_batch(
        &self,
        batch: Vec<backend::Message>,
    ) -> underlay_backends::Result<Vec<String>> {
        let ids = self.topic.publish_batch(batch.clone()).await?;
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.extend(batch);
        Ok(ids)
    }
}

/// Runs a cron's handler now.
///
/// # Errors
///
/// [`ErrorKind::NotFound`] if no such cron is declared; otherwise the handler's failure.
pub async fn run_cron(name: &str) -> Result<()> {
    let job = state()?.jobs.get(name);
    let job = job
        .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("no cron `{name}` is declared")))?;
    job()
        .await
        .map_err(|error| Error::message(format!("the cron `{name}` failed")).with_source(error))
}

/// Gives a secret a value, for this test.
///
/// # Errors
///
/// [`ErrorKind::NotFound`] if no such secret is declared, [`ErrorKind::InvalidArgument`] if the text is not one of
/// its type.
pub fn set_secret(name: &str, value: &str) -> Result<()> {
    let secret = state()?
        .entries
        .iter()
        .find_map(|entry| match (&entry.declaration, entry.item) {
            (Declaration::Secret(it), Item::Secret(secret)) if it.name == name => Some(*secret),
            _ => None,
        });
    let secret = secret.ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            format!("no secret `{name}` is declared"),
        )
    })?;
    secret
        .bind(Some(value))
        .map_err(|problem| Error::new(ErrorKind::InvalidArgument, problem))
}

/// Every endpoint that is declared, public or private, as a router to call without a server.
///
/// # Errors
///
/// Endpoints that cannot be served; see [`App::run`](crate::App::run).
pub fn router() -> Result<Router> {
    let state = state()?;
    let served = Served {
        local: true,
        readiness: Arc::new(true.into()),
        jobs: state.jobs.clone(),
        buckets: state.buckets.clone(),
        pushes: Pushes::new(),
        signing_key: state.signing_key.clone(),
        #[cfg(feature = "postgres")]
        pools: state.pools.clone(),
    };
    let router = server::router(&state.model, &state.entries, Router::new(), served)?;
    let here = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    Ok(router.layer(axum::extract::connect_info::MockConnectInfo(here)))
}

/// Runs the body of a test on a runtime of its own, with everything bound in a scope of its own.
///
/// # Panics
///
/// If the test's resources cannot be had, with every reason; and as the body does.
#[doc(hidden)]
#[track_caller]
pub fn run<F: Future>(name: &'static str, body: impl FnOnce() -> F) -> F::Output {
    crate::logs::install_for_tests();
    let scope = Arc::new(Scope::default());
    let on_threads = Arc::clone(&scope);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .on_thread_start(move || {
            Scope::enter(Some(Arc::clone(&on_threads)));
        })
        .build()
        .expect("the system has threads for a runtime");
    let outer = Scope::enter(Some(scope));
    let output = match runtime.block_on(prepare()) {
        Ok(clones) => {
            let output = catch_unwind(AssertUnwindSafe(|| runtime.block_on(body())));
            runtime.block_on(clones.remove());
            output
        }
        Err(error) => {
            Scope::enter(outer);
            panic!(
                "the resources of the test `{name}` could not be had: {}",
                crate::error::chain(&error)
            );
        }
    };
    Scope::enter(outer);
    runtime.shutdown_timeout(Duration::from_secs(1));
    output.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Binds everything for one test.
async fn prepare() -> Result<host::Clones> {
    let entries = Arc::new(inventory::entries().map_err(config::configuration)?);
    let model = Arc::new(inventory::model(&entries));
    let (infra, clones) = host::clone(&model, &entries).await?;
    let mut backends = bind::connect(&infra, &model, "http://localhost")
        .await
        .map_err(config::configuration)?;
    #[cfg(feature = "postgres")]
    let pools = {
        use underlay_model::infra::Migrations;

        let opened = std::mem::take(&mut backends.databases);
        // The clone has what its template has, which is migrated.
        let migrated = crate::sql::migrate(opened, &BTreeMap::new(), Migrations::Off).await;
        crate::sql::pools(&migrated.map_err(config::configuration)?)
    };
    let mut published = BTreeMap::new();
    for (name, topic) in &mut backends.topics {
        let recorder = Arc::new(Recorder {
            topic: Arc::clone(topic),
            messages: Mutex::default(),
        });
        *topic = Arc::clone(&recorder) as Arc<dyn backend::Topic>;
        published.insert(name.clone(), recorder);
    }
    let bound = start::bind_statics(
        &entries,
        backends,
        #[cfg(feature = "postgres")]
        pools,
    )?;
    STATE.bind(State {
        entries,
        model,
        consumers: bound.consumers,
        published,
        jobs: bound.jobs,
        buckets: bound.buckets,
        signing_key: bound.signing_key,
        #[cfg(feature = "postgres")]
        relays: bound.relays,
        #[cfg(feature = "postgres")]
        pools: bound.pools,
    });
    Ok(clones)
}
