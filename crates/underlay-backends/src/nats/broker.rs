//! The connection to NATS, and what topics and subscriptions are made of.
//!
//! What is sent through it is in the other files, and what is needed on the server in `streams.rs`.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_nats::{
    Client, ConnectOptions, ServerAddr,
    jetstream::{Context, consumer::DeliverPolicy, context::ContextBuilder},
    rustls::crypto::{CryptoProvider, aws_lc_rs},
};
use async_trait::async_trait;
use tokio::time::timeout;

use crate::{
    Error, ErrorKind, Result,
    capabilities::TopicCapabilities,
    nats::{
        PROVIDER, TOPIC,
        claim::Claims,
        dead_letters::DeadLetters,
        delayed::{self, Delays},
        error::Classified,
        message,
        ordered::{Line, OrderedSubscription},
        pull::Puller,
        streams::{self, DurableConsumer, Role},
        subscription::NatsSubscription,
        topic::NatsTopic,
    },
    tasks::Tasks,
    topic::{self, Subscription, SubscriptionOptions, Topic, TopicOptions},
};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// How many published messages may wait for their confirmation; each caller waits for its own, so this is no brake.
const UNCONFIRMED: usize = 1 << 20;

/// A connection to NATS JetStream. Clones share it; when it is lost it is made again, for as long as it takes.
///
/// # What is on the server
///
/// Each topic is a stream `<topic>`, which keeps acknowledged messages until the retention ends; a stream `<topic>-dead`
/// of dead letters; and a stream `<topic>-delayed` of messages that are not due, which may be missing if none is ever
/// published with a delay. Each subscription is a durable pull consumer of the first. A subscription gets what is published
/// after its consumer was created. Ordered subscriptions need a stream `underlay-claims`, one for all topics of an account.
///
/// # Leases
///
/// JetStream knows one lease per consumer. Another one is set with `-NAK` and a delay, after which the server delivers
/// again unless it heard an acknowledgement; extending a lease is the same. The server takes every word on a message that
/// is not acknowledged, also of a delivery whose lease has ended: a stale `ack` ends the message, and a stale `nack` or
/// `extend` moves the next delivery. A receive that is cancelled while messages come gives them back: they are delivered
/// again at once, with `attempt` one higher.
///
/// A receiver that takes many messages is read ahead for: at most as many as it took in the last tenth of a second, and
/// two hundred. What it does not take within a second goes back, with `attempt` one higher.
///
/// Acknowledgements are sent without waiting for an answer, unless the topic is exactly once or ordered. What was sent and
/// did not reach the server, because the process or the connection ended, is delivered again.
///
/// # Ordering
///
/// Of all the instances that receive an ordered subscription one does at a time: the one that holds the subscription's
/// claim, which it renews, and which ends ten seconds after it vanished (or `max_age` of the stream of claims). It gives
/// the claim up when the broker is closed or the subscription dropped. The others wait.
///
/// The receiver hands out the earliest unacknowledged message of each key and those without a key, and holds the others
/// back; it keeps their leases, and those of what it handed out, by `+WPI`. What fails goes back to the server when its
/// delay has passed, which counts the attempt, and comes again while the key waits. Before it hands out the first message,
/// and whenever a delivery did not reach it, it waits until every message that the server has delivered and that is not
/// acknowledged is with it.
///
/// - All keys together are handled by one instance, with any number of handlers at once; each key as fast as its handler and
///   one round trip to the server allow.
/// - At most a thousand messages are held. When so many wait behind keys that are stuck, the other keys wait as well.
/// - After a receiver vanished, the next one begins when the claim and the leases have ended: with what is created here
///   within ten seconds each, at the same time.
/// - The delay of a message that was given back ends early when another receiver takes over, and what was held back then
///   has one more attempt.
/// - A batch has one message of each key on its way at a time, so that none overtakes another that is sent again. If
///   publishing fails, the messages before are stored and those after are not.
///
/// # Exactly once
///
/// A message that the client sends again is stored once, because it has an id and the stream a window for duplicates. `ack`
/// returns when the server has confirmed it; from then on the server does not deliver the message. This is not:
///
/// - a word on what handlers do: a message whose lease ended before its acknowledgement is delivered again, maybe while the
///   first handler is at it;
/// - proof against the loss of the server's memory: it writes to its files a moment after it confirms, and without fsync,
///   so a server that is killed, or whose machine is, may deliver again what was acknowledged just before. Consumers with
///   replicas survive the loss of one server.
///
/// # Delays
///
/// A message with a delay waits in the topic's third stream, and is moved to the topic's own when it is due by whoever
/// receives from the topic, judged by the receiver's clock and the time at which the server took it. While nobody receives
/// it stays there. Each subscription gets it as one that is published then: on an ordered topic it is behind what came
/// before it was moved, and `published_at` is that time.
///
/// # Dead letters
///
/// A released message is published again with the name of the subscription that gave it up; other subscriptions
/// acknowledge it silently. Programs that read the stream by other means see it twice. It has its old id, and a new place
/// in the order.
#[derive(Clone)]
pub struct Broker {
    client: Client,
    context: Context,
    tasks: Arc<Tasks>,
    provision: bool,
    /// The topics that were asked for, which say how their subscriptions are received.
    topics: Arc<Mutex<HashMap<String, AskedFor>>>,
}

/// A topic that was asked for.
struct AskedFor {
    options: TopicOptions,
    /// The messages that are not due, until somebody moves those that are.
    delays: Option<DurableConsumer>,
}

impl Broker {
    /// Connects to one of the servers in a comma-separated list: `nats://host:4222`, `tls://user:password@host`,
    /// `token@host`, `host`. Credentials are percent-encoded, and the same for all servers.
    ///
    /// With `provision`, streams and consumers that are missing are created. Those that are there are never changed.
    ///
    /// Certificates are checked against the system's authorities. If the process has no default for rustls'
    /// cryptography yet, it becomes aws-lc-rs.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when an address cannot be read, `PermissionDenied` when the server refuses the credentials,
    /// `Unavailable` when no server answers within five seconds.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn connect(hosts: &str, provision: bool) -> Result<Self> {
        let mut servers: Vec<ServerAddr> = Vec::new();
        for (index, host) in hosts.split(',').map(str::trim).enumerate() {
            // Neither the text nor the cause is shown: there may be a password in it.
            let server = host.parse().ok().filter(|it: &ServerAddr| {
                !host.is_empty() && !it.host().is_empty() && !it.is_websocket()
            });
            servers.push(server.ok_or_else(|| {
                let text = format!(
                    "connect: address {} of the list is not `[nats://|tls://][user:password@]host[:port]`",
                    index + 1
                );
                Error::new(ErrorKind::InvalidArgument, PROVIDER, "hosts", text)
            })?);
        }
        let places: Vec<String> = servers
            .iter()
            .map(|server| format!("{}:{}", server.host(), server.port()))
            .collect();
        let places = places.join(",");
        if CryptoProvider::get_default().is_none() {
            // An error means that somebody else was faster.
            let _ = aws_lc_rs::default_provider().install_default();
        }
        let options = ConnectOptions::new()
            .name("underlay")
            .connection_timeout(CONNECT)
            .request_timeout(Some(ANSWER));
        let connecting = credentials(&servers, options, &places)?.connect(servers);
        let client = match timeout(CONNECT * 2, connecting).await {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => {
                let kind = error.class();
                let text = match kind {
                    ErrorKind::PermissionDenied => "connect: the server refused the credentials",
                    ErrorKind::Unavailable => "connect: no server answers",
                    _ => "connect: the connection could not be made",
                };
                return Err(Error::new(kind, PROVIDER, places, text).with_source(error));
            }
            Err(_) => {
                let text = "connect: no server answered in time";
                return Err(Error::new(ErrorKind::Unavailable, PROVIDER, places, text));
            }
        };
        let context = ContextBuilder::new()
            .timeout(ANSWER)
            .max_ack_inflight(UNCONFIRMED)
            .build(client.clone());
        Ok(Self {
            client,
            context,
            tasks: Arc::new(Tasks::new()),
            provision,
            topics: Arc::default(),
        })
    }

    /// The publishing side of a topic.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when a stream cannot have the name, or the topic was asked for with other options; `NotFound` when
    /// a stream is missing and is not to be created; `PreconditionFailed` when it is there and cannot be the topic's.
    pub async fn topic(&self, name: &str, options: TopicOptions) -> Result<Arc<dyn Topic>> {
        streams::check_name(name, name)?;
        let dead = streams::dead_name(name);
        for (stream, role) in [(name, Role::Messages), (&*dead, Role::Dead)] {
            streams::ensure_stream(&self.context, stream, role, options, self.provision).await?;
        }
        let delays = delayed::ensure(&self.context, name, self.provision).await?;
        let has_delays = delays.is_some();
        let asked_for = AskedFor { options, delays };
        let kept = |it: TopicOptions| (it.ordered, it.exactly_once);
        let before = match self.topics().entry(name.to_owned()) {
            Entry::Occupied(before) => before.get().options,
            Entry::Vacant(vacant) => vacant.insert(asked_for).options,
        };
        if kept(before) != kept(options) {
            let text = "the topic was asked for with other options; every handle of a topic needs the same ones";
            return Err(Error::new(ErrorKind::InvalidArgument, PROVIDER, name, text));
        }
        Ok(Arc::new(NatsTopic {
            name: name.to_owned(),
            subject: name.into(),
            client: self.client.clone(),
            context: self.context.clone(),
            tasks: Arc::clone(&self.tasks),
            is_ordered: options.ordered,
            has_delays,
        }))
    }

    /// The receiving side of a subscription of a topic.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when a consumer cannot have the name; `NotFound` when [`topic`](Self::topic) was not called, when
    /// the topic's streams are missing, or the consumer is and is not to be created; `PreconditionFailed` when it is there and cannot be the subscription's.
    pub async fn subscription(
        &self,
        topic: &str,
        name: &str,
        options: SubscriptionOptions,
    ) -> Result<Arc<dyn Subscription>> {
        let resource = format!("{topic}/{name}");
        streams::check_name(topic, &resource)?;
        streams::check_name(name, &resource)?;
        let Some((topic_options, delays)) = self
            .topics()
            .get_mut(topic)
            .map(|asked_for| (asked_for.options, asked_for.delays.take()))
        else {
            let text = "receive from a topic that was not asked for; ask for the topic before its subscriptions";
            return Err(Error::new(ErrorKind::NotFound, PROVIDER, resource, text));
        };
        if let Some(consumer) = delays {
            self.move_delayed(topic, consumer);
        }
        let ordered = topic_options.ordered;
        let context = &self.context;
        let messages = streams::stream(context, topic, Role::Messages, &resource).await?;
        let dead = streams::dead_name(topic);
        let letters = streams::stream(context, &dead, Role::Dead, &resource).await?;
        let consumer = DurableConsumer {
            messages: messages.clone(),
            stream: topic.to_owned(),
            name: name.to_owned(),
            ack_wait: streams::ack_wait(options.lease, ordered),
        };
        let consumer = consumer
            .ensure(DeliverPolicy::New, &resource, self.provision)
            .await?;
        let dead_letters = DeadLetters {
            resource: resource.clone(),
            context: context.clone(),
            messages,
            letters,
            topic: topic.to_owned(),
            subscription: name.to_owned(),
            subject: format!("{dead}.{name}"),
        };
        if ordered {
            let claims = streams::claims(context, self.provision).await?;
            let claims = Claims::new(context.clone(), claims, topic, name);
            let (client, tasks) = (self.client.clone(), Arc::clone(&self.tasks));
            let line = Line::new(resource, client, consumer, claims, tasks);
            return Ok(Arc::new(OrderedSubscription::new(line, dead_letters)));
        }
        let puller = self.puller(resource, consumer);
        Ok(Arc::new(NatsSubscription {
            puller,
            exactly_once: topic_options.exactly_once,
            dead_letters,
        }))
    }

    fn puller(&self, resource: String, consumer: DurableConsumer) -> Arc<Puller> {
        Arc::new(Puller {
            resource,
            client: self.client.clone(),
            consumer,
            tasks: Arc::clone(&self.tasks),
            waiting: Mutex::default(),
        })
    }

    /// Moves a topic's delayed messages when they are due, for as long as the broker is open.
    fn move_delayed(&self, topic: &str, consumer: DurableConsumer) {
        let delays = Delays {
            topic: topic.to_owned(),
            client: self.client.clone(),
            context: self.context.clone(),
            puller: self.puller(streams::delayed_name(topic), consumer),
            tasks: Arc::clone(&self.tasks),
        };
        self.tasks.spawn(delays.run());
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<String, AskedFor>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the connection, for all clones: waiting receivers fail. Messages that were on their way to them come again,
    /// at the latest when the subscription's lease has ended.
    ///
    /// # Errors
    ///
    /// When the connection was closed before.
    pub async fn close(&self) -> Result<()> {
        self.tasks.close(ANSWER).await;
        match timeout(ANSWER, self.client.drain()).await {
            Ok(Ok(())) => Ok(()),
            _ => {
                let text = "close: the connection is closed already";
                Err(Error::new(
                    ErrorKind::Unavailable,
                    PROVIDER,
                    "connection",
                    text,
                ))
            }
        }
    }
}

#[async_trait]
impl topic::Broker for Broker {
    fn capabilities(&self) -> TopicCapabilities {
        TOPIC
    }

    async fn topic(&self, name: &str, options: TopicOptions) -> Result<Arc<dyn Topic>> {
        Self::topic(self, name, options).await
    }

    async fn subscription(
        &self,
        topic: &str,
        name: &str,
        options: SubscriptionOptions,
    ) -> Result<Arc<dyn Subscription>> {
        Self::subscription(self, topic, name, options).await
    }

    async fn close(&self) -> Result<()> {
        Self::close(self).await
    }
}

/// The options with the credentials that are in the addresses. The client would take them from there as they are
/// written.
fn credentials(
    servers: &[ServerAddr],
    options: ConnectOptions,
    places: &str,
) -> Result<ConnectOptions> {
    let of = |server: &ServerAddr| {
        let decoded = |text: Option<&str>| text.map(message::unescape);
        (decoded(server.username()), decoded(server.password()))
    };
    let mut all = servers.iter().filter(|it| it.has_user_pass()).map(of);
    let Some(first) = all.next() else {
        return Ok(options);
    };
    if all.any(|other| other != first) {
        let text =
            "connect: the addresses have different credentials; write the same ones into each";
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            PROVIDER,
            places,
            text,
        ));
    }
    Ok(match first {
        (Some(user), Some(password)) => options.user_and_password(user, password),
        (Some(token), None) => options.token(token),
        (None, _) => options,
    })
}
