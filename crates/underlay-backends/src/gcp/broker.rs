//! The connection to Google Cloud Pub/Sub, and what topics and subscriptions are made of.
//!
//! What is sent through it is in the other files, and what is needed at Google in `provision.rs`.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::future::join_all;
use google_cloud_auth::credentials::{self, Credentials, anonymous};
use google_cloud_gax::retry_policy::RetryPolicyExt as _;
use google_cloud_pubsub::{
    client::{BasePublisher, Subscriber, SubscriptionAdmin, TopicAdmin},
    retry_policy::RetryableErrors,
};

use crate::{
    Error, ErrorKind, Result,
    capabilities::TopicCapabilities,
    gcp::{
        PROVIDER, TOPIC,
        dead_letters::DeadLetters,
        names,
        provision::{self, Admin, Wanted},
        pull::Pull,
        push::{PushOptions, PushSubscription, Pushing},
        queue::{Handle, Queue},
        receiving::{Receiving, Source},
        token::Verifier,
        topic::GcpTopic,
        unary::Unary,
    },
    topic::{self, Subscription, SubscriptionOptions, Topic, TopicOptions},
};

/// The variable with the address of Google's emulator.
const EMULATOR: &str = "PUBSUB_EMULATOR_HOST";
/// For how long a message is sent again that Google could not take.
const PUBLISH: Duration = Duration::from_secs(45);

/// A connection to Google Cloud Pub/Sub. Clones share it.
///
/// Topics and subscriptions are named in full: `projects/p/topics/t`, `projects/p/subscriptions/s`.
#[derive(Clone)]
pub struct Broker {
    inner: Arc<Inner>,
}

struct Inner {
    admin: Admin,
    publisher: BasePublisher,
    subscriber: Subscriber,
    unary: Unary,
    /// The topics that were asked for.
    topics: Mutex<HashMap<String, (TopicOptions, Arc<GcpTopic>)>>,
    /// What lets messages come, to be stopped.
    sources: Mutex<Vec<Weak<dyn Source>>>,
    closed: Arc<AtomicBool>,
}

impl Broker {
    /// Connects with the application default credentials; to the emulator at `PUBSUB_EMULATOR_HOST` without any, if
    /// that variable is set.
    ///
    /// With `provision`, what is missing is created when a topic or subscription is asked for; what is there is never
    /// changed.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` when there are no credentials; `InvalidArgument` when the emulator's address cannot be read.
    /// Google is not asked before the first topic is.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn connect(provision: bool) -> Result<Self> {
        if let Some(host) = std::env::var(EMULATOR).ok().filter(|host| !host.is_empty()) {
            return Self::connect_to_emulator(&host, provision).await;
        }
        let credentials = credentials::Builder::default().build().map_err(|error| {
            let text = "connect: there are no application default credentials; run with a service account, set GOOGLE_APPLICATION_CREDENTIALS, or use `gcloud auth application-default login`";
            Error::new(ErrorKind::PermissionDenied, PROVIDER, "credentials", text).with_source(error)
        })?;
        Self::build(None, credentials, provision).await
    }

    /// Connects to an emulator at `host:port`, without credentials.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the address cannot be read.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn connect_to_emulator(host: &str, provision: bool) -> Result<Self> {
        let endpoint = match host.split_once("://") {
            Some(("http", _)) => host.to_owned(),
            Some(_) => {
                let text =
                    format!("connect: {EMULATOR} is `host:port`, and the emulator speaks http");
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    PROVIDER,
                    "emulator",
                    text,
                ));
            }
            None => format!("http://{host}"),
        };
        Self::build(Some(endpoint), anonymous::Builder::new().build(), provision).await
    }

    async fn build(
        endpoint: Option<String>,
        credentials: Credentials,
        provision: bool,
    ) -> Result<Self> {
        macro_rules! client {
            ($builder:expr) => {{
                let mut builder = $builder.with_credentials(credentials.clone());
                if let Some(endpoint) = &endpoint {
                    builder = builder.with_endpoint(endpoint);
                }
                builder.build().await.map_err(|error| {
                    let text = "connect: the client cannot be made";
                    Error::new(ErrorKind::InvalidArgument, PROVIDER, "connection", text)
                        .with_source(error)
                })?
            }};
        }
        let retries = RetryableErrors.with_time_limit(PUBLISH);
        Ok(Self {
            inner: Arc::new(Inner {
                admin: Admin {
                    topics: client!(TopicAdmin::builder()),
                    subscriptions: client!(SubscriptionAdmin::builder()),
                    provision,
                },
                publisher: client!(BasePublisher::builder().with_retry_policy(retries)),
                subscriber: client!(Subscriber::builder()),
                unary: Unary::new(endpoint.as_deref(), &credentials)?,
                topics: Mutex::default(),
                sources: Mutex::default(),
                closed: Arc::default(),
            }),
        })
    }

    /// The receiving side of a subscription whose messages Google pushes; call [`topic`](topic::Broker::topic) first.
    ///
    /// # Errors
    ///
    /// As [`subscription`](topic::Broker::subscription); `Unsupported` on an exactly-once topic, which Google cannot
    /// push.
    pub async fn push_subscription(
        &self,
        topic: &str,
        name: &str,
        options: SubscriptionOptions,
        push: &PushOptions,
    ) -> Result<Arc<PushSubscription>> {
        let (topic_options, published) = self.check(topic, name)?;
        if topic_options.exactly_once {
            let text = "push messages: Google delivers exactly once only what is pulled; remove the push configuration, or ask for at least once";
            return Err(Error::new(ErrorKind::Unsupported, PROVIDER, name, text));
        }
        if self.inner.admin.provision && push.endpoint.is_none() {
            let text = "push messages: without an endpoint the subscription cannot be created";
            return Err(Error::new(ErrorKind::InvalidArgument, PROVIDER, name, text));
        }
        let verifier = Verifier::new(&push.audience, &push.service_account, push.keys.as_deref())?;
        self.ensure(topic, name, topic_options, &options, Some(push))
            .await?;
        let queue = Arc::new(Queue::new(name));
        let source = Arc::new(Pushing::new(&queue, options.lease));
        let subscription = self.receiving(name, &queue, Arc::clone(&source), published);
        Ok(Arc::new(PushSubscription {
            name: name.to_owned(),
            verifier,
            queue,
            source,
            subscription,
        }))
    }

    /// The topic of a subscription.
    fn check(&self, topic: &str, name: &str) -> Result<(TopicOptions, Arc<GcpTopic>)> {
        names::check_subscription(name)?;
        let known = self.inner.topics().get(topic).cloned();
        known.ok_or_else(|| {
            let text = format!("subscribe: the topic `{topic}` was not asked for before");
            Error::new(ErrorKind::InvalidArgument, PROVIDER, name, text)
        })
    }

    async fn ensure(
        &self,
        topic: &str,
        name: &str,
        topic_options: TopicOptions,
        options: &SubscriptionOptions,
        push: Option<&PushOptions>,
    ) -> Result<()> {
        let wanted = Wanted {
            topic,
            name,
            topic_options,
            options,
            push,
        };
        self.inner.admin.ensure_subscription(&wanted).await
    }

    fn receiving<H: Handle, S: Source>(
        &self,
        name: &str,
        queue: &Arc<Queue<H>>,
        source: Arc<S>,
        topic: Arc<GcpTopic>,
    ) -> Arc<dyn Subscription> {
        let inner = &self.inner;
        let source: Arc<dyn Source> = source;
        {
            let mut sources = inner.sources();
            sources.retain(|source| source.strong_count() > 0);
            sources.push(Arc::downgrade(&source));
        }
        let letters = GcpTopic::new(&names::dead_topic(name), &inner.publisher, &inner.closed);
        Arc::new(Receiving {
            queue: Arc::clone(queue),
            source,
            dead_letters: DeadLetters {
                subscription: name.to_owned(),
                unary: inner.unary.clone(),
                letters,
                topic,
                looking: tokio::sync::Mutex::new(()),
            },
        })
    }
}

#[async_trait]
impl topic::Broker for Broker {
    fn capabilities(&self) -> TopicCapabilities {
        TOPIC
    }

    async fn topic(&self, name: &str, options: TopicOptions) -> Result<Arc<dyn Topic>> {
        names::check_topic(name)?;
        let inner = &self.inner;
        inner.admin.ensure_topic(name).await?;
        let topic = Arc::new(GcpTopic::new(name, &inner.publisher, &inner.closed));
        let known = (options, Arc::clone(&topic));
        inner.topics().insert(name.to_owned(), known);
        Ok(topic)
    }

    async fn subscription(
        &self,
        topic: &str,
        name: &str,
        options: SubscriptionOptions,
    ) -> Result<Arc<dyn Subscription>> {
        let (topic_options, published) = self.check(topic, name)?;
        self.ensure(topic, name, topic_options, &options, None)
            .await?;
        let queue = Arc::new(Queue::new(name));
        let lease = provision::lease(options.lease);
        let ordered = topic_options.ordered;
        let pull = Pull::new(&self.inner.subscriber, name, lease, ordered, &queue);
        Ok(self.receiving(name, &queue, Arc::new(pull), published))
    }

    async fn close(&self) -> Result<()> {
        let inner = &self.inner;
        inner.closed.store(true, Ordering::Relaxed);
        let sources: Vec<_> = inner.sources().drain(..).collect();
        let sources: Vec<_> = sources.iter().filter_map(Weak::upgrade).collect();
        join_all(sources.iter().map(|source| source.stop())).await;
        Ok(())
    }
}

impl Inner {
    fn topics(&self) -> MutexGuard<'_, HashMap<String, (TopicOptions, Arc<GcpTopic>)>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sources(&self) -> MutexGuard<'_, Vec<Weak<dyn Source>>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
