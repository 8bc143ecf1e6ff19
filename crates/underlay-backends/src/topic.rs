//! Topics and subscriptions: messages as bytes with text attributes.
//!
//! Retry policy, backoff, concurrency and draining are not here: they exist once, in `underlay`, on top of
//! [`Subscription`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use underlay_model::filter::Filter;

use crate::Result;
use crate::capabilities::TopicCapabilities;

/// What holds for a topic and all of its subscriptions, whatever the broker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TopicOptions {
    /// Messages of one ordering key are delivered one after the other, in the order of publishing.
    pub ordered: bool,
    /// An acknowledged message is never delivered again.
    pub exactly_once: bool,
    /// How long the broker keeps messages, where that is the topic's to say: the longest retention of its
    /// subscriptions. `None` keeps them for ever.
    pub retention: Option<Duration>,
}

/// What holds for one subscription, whatever the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionOptions {
    /// The lease that receivers will ask for.
    pub lease: Duration,
    /// How long an unacknowledged message and a dead letter are kept; `None` keeps them for ever.
    pub retention: Option<Duration>,
    /// After how many deliveries receivers give a message up. `None` is never. For a broker that counts by itself; the
    /// caller counts in any case.
    pub max_deliveries: Option<u32>,
    /// Which messages the subscription wants. For a broker that filters by itself; the caller acknowledges what it does
    /// not want in any case.
    pub filter: Filter,
}

impl Default for SubscriptionOptions {
    /// Half a minute, seven days, never given up, every message.
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            retention: Some(Duration::from_secs(7 * 24 * 3600)),
            max_deliveries: None,
            filter: Filter::default(),
        }
    }
}

/// A connection to a broker, from which topics and subscriptions are had.
///
/// Names are the broker's own: for NATS a stream, for AWS an ARN or a queue's URL.
#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// What its topics can do.
    fn capabilities(&self) -> TopicCapabilities;

    /// The publishing side of a topic.
    ///
    /// # Errors
    ///
    /// `Unsupported` when the broker lacks a capability that the options ask for; `NotFound` when the broker does not
    /// have the topic and was not asked to provision; `PreconditionFailed` when what it has cannot be this topic.
    async fn topic(&self, name: &str, options: TopicOptions) -> Result<Arc<dyn Topic>>;

    /// The receiving side of a subscription; call [`topic`](Self::topic) first.
    ///
    /// # Errors
    ///
    /// As [`topic`](Self::topic).
    async fn subscription(
        &self,
        topic: &str,
        name: &str,
        options: SubscriptionOptions,
    ) -> Result<Arc<dyn Subscription>>;

    /// Ends the connection: waiting receivers fail, and what was acknowledged is with the broker.
    ///
    /// # Errors
    ///
    /// When something could not be told to the broker.
    async fn close(&self) -> Result<()>;
}

/// A message to publish.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// The encoded message.
    pub body: Bytes,
    /// What brokers filter on; also in the body.
    pub attributes: BTreeMap<String, String>,
    /// Messages of one key are delivered in the order of publishing, where the topic is ordered.
    pub ordering_key: Option<String>,
    /// Not to be delivered before so much time has passed. A received message has none.
    pub delay: Option<Duration>,
    /// The id under which it is to be delivered; without it, it gets one. A received message has none here.
    pub id: Option<OwnId>,
}

impl Message {
    /// The bytes of body, attributes and ordering key together, which is what limits are about.
    pub fn size(&self) -> usize {
        let attributes = self.attributes.iter();
        let attributes: usize = attributes
            .map(|(name, value)| name.len() + value.len())
            .sum();
        self.body.len() + attributes + self.ordering_key.as_ref().map_or(0, String::len)
    }
}

/// An id that a publisher gives a message: 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnId(u128);

impl OwnId {
    /// A new one: no two are the same, and later ones sort after earlier ones.
    #[cfg(any(feature = "memory", feature = "disk", feature = "nats"))]
    pub fn fresh() -> Self {
        Self(crate::id::fresh(SystemTime::now()))
    }

    /// The one that is written so; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Self(u128::from_str_radix(text, 16).ok()?);
        (id.to_string() == text).then_some(id)
    }

    #[cfg(feature = "memory")]
    pub(crate) fn number(self) -> u128 {
        self.0
    }
}

impl fmt::Display for OwnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A message as a subscription receives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The id that `publish` returned.
    pub id: String,
    /// Which delivery of this message to this subscription it is, from 1.
    pub attempt: u32,
    /// When the broker took the message.
    pub published_at: SystemTime,
    /// The message.
    pub message: Message,
    /// What the broker wants to see when this delivery is acknowledged.
    pub receipt: Receipt,
}

/// A backend's own handle of one delivery.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Receipt(pub String);

/// A message that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The message's id.
    pub id: String,
    /// How often it was delivered.
    pub attempts: u32,
    /// Why it was given up: the last error's text.
    pub reason: String,
    /// When it was given up.
    pub failed_at: SystemTime,
    /// The message.
    pub message: Message,
}

/// The publishing side of a topic.
#[async_trait]
pub trait Topic: Send + Sync + 'static {
    /// Publishes one message and returns its id.
    ///
    /// # Behavior
    ///
    /// - `publish` stores the message for every subscription of the topic before it returns.
    /// - `publish_id` returns an id that each subscription sees on delivery; no two messages share one.
    /// - `publish_own_id`: a message with an id of its own is delivered under that id, which is returned.
    /// - `publish_keeps` body, attributes and ordering key as they were given, byte for byte.
    /// - `publish_too_large`: a message above the backend's limit is `TooLarge`, the text names the limit, and nothing
    ///   is published.
    /// - `publish_delayed`: a message with a delay is not delivered before it has passed, and then with `attempt` 1; a
    ///   backend that cannot is `Unsupported`.
    async fn publish(&self, message: Message) -> Result<String>;

    /// Publishes several messages; the ids are in the order of the messages.
    ///
    /// # Behavior
    ///
    /// - `publish_batch_ids`: each subscription receives every message of the batch under its id.
    /// - `publish_batch_order`: on an ordered topic the messages of one key are delivered in the order of the batch.
    /// - `publish_batch_empty`: an empty batch is no error and publishes nothing.
    async fn publish_batch(&self, messages: Vec<Message>) -> Result<Vec<String>>;
}

/// The receiving side of one subscription.
#[async_trait]
pub trait Subscription: Send + Sync + 'static {
    /// Waits until there is at least one message to deliver and returns at most `max`, each leased for `lease`.
    ///
    /// # Behavior
    ///
    /// - `receive_each`: every subscription of a topic receives every message published after it was created.
    /// - `receive_leased`: a message that is leased is not delivered again before the lease ends.
    /// - `receive_expired`: a message that is neither acknowledged nor extended is delivered again after its lease,
    ///   with `attempt` one higher.
    /// - `receive_max`: never more than `max`; a `max` of 0 or a lease of no time is `InvalidArgument`.
    /// - `receive_shared`: of two that receive from one subscription each message goes to one of them.
    /// - `receive_waits`: without messages it waits, and it may be cancelled without losing one.
    /// - `receive_ordered`: on an ordered topic a message is not delivered while an earlier one of its key is
    ///   unacknowledged; other keys go on.
    async fn receive(&self, max: usize, lease: Duration) -> Result<Vec<Received>>;

    /// Ends a delivery for good.
    ///
    /// # Behavior
    ///
    /// - `ack_final`: the message is not delivered to this subscription again; other subscriptions are not affected.
    /// - `ack_once`: on an exactly-once topic, what was acknowledged is delivered to nobody again, even if its lease ends
    ///   while it is acknowledged.
    /// - `ack_stale`: acknowledging a delivery whose lease has ended, or one that was acknowledged, is no error.
    async fn ack(&self, receipt: &Receipt) -> Result<()>;

    /// Gives a delivery back, to be delivered again after `delay`.
    ///
    /// # Behavior
    ///
    /// - `nack_redelivers` the message after `delay`, not before, with `attempt` one higher.
    /// - `nack_keeps_order`: on an ordered topic later messages of the key wait for it.
    async fn nack(&self, receipt: &Receipt, delay: Duration) -> Result<()>;

    /// Makes a lease end `lease` from now.
    ///
    /// # Behavior
    ///
    /// - `extend_holds` the message back for as long.
    async fn extend(&self, receipt: &Receipt, lease: Duration) -> Result<()>;

    /// Ends a delivery by moving the message to the subscription's dead letters.
    ///
    /// # Behavior
    ///
    /// - `dead_letter_kept`: the message is not delivered again and is found by `dead_letters`, with the reason and
    ///   the number of attempts.
    /// - `dead_letter_unblocks`: on an ordered topic the next message of the key is delivered.
    async fn dead_letter(&self, receipt: &Receipt, reason: &str) -> Result<()>;

    /// The oldest `limit` dead letters.
    ///
    /// # Behavior
    ///
    /// - `dead_letters_limit`: the oldest first, at most `limit`.
    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>>;

    /// Delivers a dead letter again; false when there is none with this id.
    ///
    /// # Behavior
    ///
    /// - `release_redelivers` the message to this subscription and to no other, under its id, with `attempt` 1; it is
    ///   no dead letter any more.
    /// - `release_again`: a released message that is given up again is a dead letter again.
    /// - `release_unknown`: without such a letter the answer is false, and nothing is delivered.
    async fn release(&self, id: &str) -> Result<bool>;

    /// Removes a dead letter for good; false when there is none with this id.
    ///
    /// # Behavior
    ///
    /// - `discard_removes` that one and leaves the others.
    async fn discard(&self, id: &str) -> Result<bool>;
}
