//! Topics and subscriptions inside the process: who gets what.
//!
//! Receiving is in `subscription.rs`, which message may be delivered in `queue.rs`, the file in `journal.rs`.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use tokio::time::Instant;

use crate::{
    Error, ErrorKind, Result,
    capabilities::TopicCapabilities,
    id,
    memory::{
        PROVIDER, TOPIC_IN_MEMORY, TOPIC_WITH_FILE,
        journal::{Journal, Restored},
        queue::{Depth, Hot, Queue, Stored, after},
        subscription::MemorySubscription,
    },
    topic::{self, Message, OwnId, Subscription, SubscriptionOptions, Topic, TopicOptions},
};

/// The largest message: body, attributes and ordering key together. It is GCP's limit; a message that works locally
/// should not be refused there.
pub(crate) const MAX_MESSAGE_BYTES: u64 = 10_000_000;

/// How many bytes a broker without a file keeps at most: then publishing fails, because nothing would be left but to
/// forget messages.
const MAX_MEMORY_BYTES: usize = 256 << 20;
/// What a message costs besides its bytes.
const OVERHEAD_BYTES: usize = 512;

/// How a broker with a file uses memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileOptions {
    /// How many bytes of undelivered messages are kept in memory too, so that they need not be read back.
    pub memory_budget: usize,
}

impl Default for FileOptions {
    /// 16 MiB.
    fn default() -> Self {
        Self {
            memory_budget: 16 << 20,
        }
    }
}

/// A subscription that the file knew and the program declares no more; its messages were removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The topic's name.
    pub topic: String,
    /// The subscription's name.
    pub subscription: String,
    /// How many undelivered messages were removed.
    pub messages: u64,
    /// How many dead letters were removed.
    pub dead_letters: u64,
}

/// A message broker inside the process. Clones share it.
///
/// A subscription gets the messages that are published after [`Broker::subscription`] returned. A message published
/// to a topic without subscriptions is accepted and dropped, as by every broker.
#[derive(Clone)]
pub struct Broker {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    topics: Mutex<BTreeMap<String, Arc<TopicState>>>,
    pub(super) journal: Option<Journal>,
    restored: Mutex<Restored>,
    pub(super) next_seq: AtomicU64,
    /// Without a file: how many bytes more the messages may take.
    pub(super) budget: Arc<AtomicUsize>,
    pub(super) next_delivery: AtomicU64,
    closed: AtomicBool,
}

/// A topic and the queues of its subscriptions.
pub(super) struct TopicState {
    pub(super) name: String,
    options: TopicOptions,
    queues: Mutex<Vec<Arc<Queue>>>,
}

impl TopicState {
    pub(super) fn queues(&self) -> MutexGuard<'_, Vec<Arc<Queue>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message that was accepted and has no place in the order yet.
pub(super) struct Incoming {
    pub(super) id: u128,
    pub(super) published_at: SystemTime,
    pub(super) accepted: Instant,
    pub(super) message: Message,
}

impl Incoming {
    /// A message that is accepted now.
    pub(super) fn now(id: u128, mut message: Message) -> Self {
        message.id = None;
        Self {
            id,
            published_at: SystemTime::now(),
            accepted: Instant::now(),
            message,
        }
    }

    /// What waits in the queues. The message itself is kept in memory only if that is within the budget.
    pub(super) fn into_stored(self, seq: u64, budget: &Arc<AtomicUsize>) -> Stored {
        let Self {
            id,
            published_at,
            accepted,
            mut message,
        } = self;
        let not_before = message.delay.take().map(|delay| after(accepted, delay));
        let size = size_of_message(&message) + OVERHEAD_BYTES;
        Stored {
            seq,
            id,
            published_at,
            accepted,
            age_when_accepted: Duration::ZERO,
            not_before,
            ordering_key: message.ordering_key.as_deref().map(Arc::from),
            hot: Hot::within(message, size, budget),
        }
    }
}

pub(super) fn size_of_message(message: &Message) -> usize {
    let attributes: usize = message
        .attributes
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    message.body.len() + attributes + message.ordering_key.as_ref().map_or(0, String::len)
}

/// That a broker without a file can keep no more.
pub(super) fn full(attempted: &str, resource: &str) -> Error {
    let text = format!(
        "{attempted}: {} MiB of messages wait in memory already; let the subscriptions handle some, or give the broker a \
         file",
        MAX_MEMORY_BYTES >> 20
    );
    Error::new(ErrorKind::Full, PROVIDER, resource, text)
}

impl Broker {
    /// A broker that forgets everything when it is dropped. It keeps 256 MiB of messages at most: publishing more is
    /// `Full`.
    pub fn in_memory() -> Self {
        Self::new(None, Restored::default())
    }

    /// A broker that keeps undelivered messages and dead letters in a file, which is created if it is missing.
    ///
    /// `publish` returns when the message is in the file for good, so neither SIGKILL nor a restart loses one.
    /// Acknowledgements follow soon after; a crash may deliver a message again, unless the topic is
    /// [exactly once](TopicOptions::exactly_once).
    /// Message bodies beyond [`FileOptions::memory_budget`] stay in the file and are read when they are delivered.
    ///
    /// The file is written by a thread of its own, so a test with tokio's clock paused should not publish while a lease
    /// or a delay runs: the clock would jump to its end.
    ///
    /// `declared` is every (topic, subscription) of the program. What the file holds for others is removed, or it
    /// would grow for ever, and is reported.
    ///
    /// # Errors
    ///
    /// `Unavailable` when another process has the file open; otherwise the file cannot be opened or is damaged, and
    /// the text says what to do.
    pub async fn open(path: &Path, declared: &[(&str, &str)]) -> Result<(Self, Vec<Removed>)> {
        Self::open_with(path, declared, FileOptions::default()).await
    }

    /// The same with options.
    ///
    /// # Errors
    ///
    /// As [`Broker::open`].
    pub async fn open_with(
        path: &Path,
        declared: &[(&str, &str)],
        options: FileOptions,
    ) -> Result<(Self, Vec<Removed>)> {
        let (journal, restored, removed) =
            Journal::open(path, declared, options.memory_budget).await?;
        Ok((Self::new(Some(journal), restored), removed))
    }

    fn new(journal: Option<Journal>, restored: Restored) -> Self {
        Self {
            inner: Arc::new(Inner {
                topics: Mutex::default(),
                journal,
                restored: Mutex::new(restored),
                next_seq: AtomicU64::new(1),
                budget: Arc::new(AtomicUsize::new(MAX_MEMORY_BYTES)),
                next_delivery: AtomicU64::new(1),
                closed: AtomicBool::new(false),
            }),
        }
    }

    /// The publishing side of a topic, which is created if it is new.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the topic exists with other options.
    pub fn topic(&self, name: &str, options: TopicOptions) -> Result<Arc<dyn Topic>> {
        let mut topics = self.inner.topics();
        let state = topics.entry(name.to_owned()).or_insert_with(|| {
            Arc::new(TopicState {
                name: name.to_owned(),
                options,
                queues: Mutex::default(),
            })
        });
        let kept = |it: TopicOptions| (it.ordered, it.exactly_once);
        if kept(state.options) != kept(options) {
            let text = "the topic was created with other options; every handle of a topic needs the same ones";
            return Err(Error::new(ErrorKind::InvalidArgument, PROVIDER, name, text));
        }
        Ok(Arc::new(MemoryTopic {
            inner: Arc::clone(&self.inner),
            state: Arc::clone(state),
        }))
    }

    /// The receiving side of a subscription, which is created if it is new. Several handles of one subscription share
    /// its messages.
    ///
    /// # Errors
    ///
    /// `NotFound` when [`Broker::topic`] was not called for the topic; `InvalidArgument` when the broker has a file
    /// and [`Broker::open`] was not told of this subscription.
    pub fn subscription(
        &self,
        topic: &str,
        name: &str,
        options: SubscriptionOptions,
    ) -> Result<Arc<dyn Subscription>> {
        let resource = || format!("{topic}/{name}");
        let state = self.inner.topics().get(topic).cloned().ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                PROVIDER,
                resource(),
                "create the topic before its subscriptions",
            )
        })?;
        let mut queues = state.queues();
        let queue = match queues.iter().find(|queue| queue.name == name) {
            Some(queue) => Arc::clone(queue),
            None => {
                let mut restored = self
                    .inner
                    .restored
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                let backlog = restored.take(topic, name);
                if backlog.is_none() && self.inner.journal.is_some() {
                    let text = "the subscription is missing in the list that the broker was opened with; add it there";
                    return Err(Error::new(
                        ErrorKind::InvalidArgument,
                        PROVIDER,
                        resource(),
                        text,
                    ));
                }
                let (number, in_file, last) = backlog.unwrap_or_default();
                let ordered = state.options.ordered;
                let queue = Arc::new(Queue::new(number, name.to_owned(), ordered, in_file, last));
                queues.push(Arc::clone(&queue));
                queue
            }
        };
        drop(queues);
        Ok(Arc::new(MemorySubscription {
            resource: resource(),
            inner: Arc::clone(&self.inner),
            topic: Arc::clone(&state),
            exactly_once: state.options.exactly_once,
            retention: options.retention,
            queue,
        }))
    }

    /// How many messages a subscription has; `None` if there is no such subscription.
    pub fn depth(&self, topic: &str, subscription: &str) -> Option<Depth> {
        let state = self.inner.topics().get(topic).cloned()?;
        let queues = state.queues();
        queues
            .iter()
            .find(|queue| queue.name == subscription)
            .map(|queue| queue.depth(Instant::now()))
    }

    /// Ends the broker: waiting receivers fail, and when it returns the file has everything and is free for others.
    ///
    /// # Errors
    ///
    /// When the last changes could not be written.
    pub async fn close(&self) -> Result<()> {
        self.inner.closed.store(true, Ordering::Release);
        let topics: Vec<_> = self.inner.topics().values().cloned().collect();
        for topic in topics {
            topic.queues().iter().for_each(|queue| queue.close());
        }
        match &self.inner.journal {
            Some(journal) => journal.close().await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl topic::Broker for Broker {
    fn capabilities(&self) -> TopicCapabilities {
        match self.inner.journal {
            Some(_) => TOPIC_WITH_FILE,
            None => TOPIC_IN_MEMORY,
        }
    }

    async fn topic(&self, name: &str, options: TopicOptions) -> Result<Arc<dyn Topic>> {
        Self::topic(self, name, options)
    }

    async fn subscription(
        &self,
        topic: &str,
        name: &str,
        options: SubscriptionOptions,
    ) -> Result<Arc<dyn Subscription>> {
        Self::subscription(self, topic, name, options)
    }

    async fn close(&self) -> Result<()> {
        Self::close(self).await
    }
}

impl Inner {
    fn topics(&self) -> MutexGuard<'_, BTreeMap<String, Arc<TopicState>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct MemoryTopic {
    inner: Arc<Inner>,
    state: Arc<TopicState>,
}

#[async_trait]
impl Topic for MemoryTopic {
    async fn publish(&self, message: Message) -> Result<String> {
        let mut ids = self.publish_batch(vec![message]).await?;
        ids.pop().ok_or_else(|| {
            Error::new(
                ErrorKind::Other,
                PROVIDER,
                &self.state.name,
                "publishing one message gave no id",
            )
        })
    }

    async fn publish_batch(&self, messages: Vec<Message>) -> Result<Vec<String>> {
        if let Some(size) = messages
            .iter()
            .map(size_of_message)
            .find(|size| *size as u64 > MAX_MESSAGE_BYTES)
        {
            let text = format!(
                "publish a message of {size} bytes: at most {MAX_MESSAGE_BYTES} are possible"
            );
            return Err(Error::new(
                ErrorKind::TooLarge,
                PROVIDER,
                &self.state.name,
                text,
            ));
        }
        if self.inner.closed.load(Ordering::Acquire) {
            let text = "publish a message: the broker is closed";
            return Err(Error::new(
                ErrorKind::Unavailable,
                PROVIDER,
                &self.state.name,
                text,
            ));
        }
        let incoming: Vec<Incoming> = messages
            .into_iter()
            .map(|message| {
                let fresh = || id::fresh(SystemTime::now());
                Incoming::now(message.id.map_or_else(fresh, OwnId::number), message)
            })
            .collect();
        let ids = incoming
            .iter()
            .map(|incoming| id::text(incoming.id))
            .collect();
        if incoming.is_empty() {
            return Ok(ids);
        }
        match &self.inner.journal {
            Some(journal) => journal.publish(&self.state, incoming).await?,
            None => {
                // The lock on the queues is held while the places are given out, so that every queue has one order.
                let queues = self.state.queues();
                if queues.is_empty() {
                    return Ok(ids);
                }
                let mut stored = Vec::with_capacity(incoming.len());
                for incoming in incoming {
                    let seq = self.inner.next_seq.fetch_add(1, Ordering::Relaxed);
                    let it = incoming.into_stored(seq, &self.inner.budget);
                    if it.hot.is_none() {
                        return Err(full("publish a message", &self.state.name));
                    }
                    stored.push(Arc::new(it));
                }
                for queue in queues.iter() {
                    queue.push(stored.iter().cloned());
                }
            }
        }
        Ok(ids)
    }
}
