//! The dead letters of a subscription: a topic, and a subscription of it that keeps them.
//!
//! Google has no way to look at messages without leasing them: a look is a stream that ends when nothing came for a
//! while, and gives back what it read.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use google_cloud_pubsub::{
    client::Subscriber,
    model::Message as Wire,
    subscriber::{MessageStream, ShutdownBehavior, handler::Handler},
};
use tokio::{
    sync::{Mutex, MutexGuard},
    time::timeout,
};

use crate::{
    Result,
    gcp::{error, message, names, topic::GcpTopic},
    topic::{DeadLetter, Message},
};

/// How long the first letter may take to come, the connection included.
const FIRST: Duration = Duration::from_secs(3);
/// After how long without another one there is none.
const NEXT: Duration = Duration::from_millis(750);
/// How long Google may take to hear which were let go.
const FLUSH: Duration = Duration::from_secs(10);
/// After how long Google delivers what a process that died was looking at.
const LEASE: Duration = Duration::from_secs(10);
/// How many letters one look sees.
pub(super) const SEEN: usize = 10_000;
/// How many bytes they may have together.
const SEEN_BYTES: i64 = 256 << 20;

pub(super) struct DeadLetters {
    /// The subscription whose messages are given up.
    pub(super) subscription: String,
    pub(super) subscriber: Subscriber,
    /// Where letters are published.
    pub(super) letters: GcpTopic,
    /// Where released ones are.
    pub(super) topic: Arc<GcpTopic>,
    /// One look at a time: a second one would see nothing.
    pub(super) looking: Mutex<()>,
}

impl DeadLetters {
    /// Publishes a message that was given up.
    pub(super) async fn bury(
        &self,
        id: &str,
        attempts: u32,
        reason: &str,
        message: Message,
    ) -> Result<()> {
        let letter = message::given_up(message, id, attempts, reason);
        self.letters.send(vec![letter]).await.map(drop)
    }

    /// The oldest letters.
    pub(super) async fn oldest(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut look = self.look().await;
        let mut found = BTreeMap::new();
        while let Some((letter, handler)) = look.next().await? {
            look.handlers.push(handler);
            found.insert(letter.id.clone(), letter);
        }
        look.end().await;
        let mut letters: Vec<DeadLetter> = found.into_values().collect();
        // Ids are numbers that mostly rise, which tells apart what was given up at one time.
        let age = |letter: &DeadLetter| (letter.failed_at, letter.id.len(), letter.id.clone());
        letters.sort_by_cached_key(age);
        letters.truncate(limit);
        Ok(letters)
    }

    /// Publishes a letter again, for its subscription only; false when there is none with this id.
    pub(super) async fn release(&self, id: &str) -> Result<bool> {
        self.take(id, true).await
    }

    /// Removes a letter; false when there is none with this id.
    pub(super) async fn discard(&self, id: &str) -> Result<bool> {
        self.take(id, false).await
    }

    async fn take(&self, id: &str, release: bool) -> Result<bool> {
        let mut look = self.look().await;
        // There are several if a process died after it had published one.
        let (mut found, mut ended) = (None, Vec::new());
        while let Some((letter, handler)) = look.next().await? {
            if letter.id == id {
                found = Some(letter);
                ended.push(handler);
            } else {
                look.handlers.push(handler);
            }
        }
        let is_found = found.is_some();
        if let Some(letter) = found
            && release
        {
            let wire = message::released(letter.message, id, &self.subscription);
            self.topic.send(vec![wire]).await?;
        }
        ended.into_iter().for_each(Handler::ack);
        look.end().await;
        Ok(is_found)
    }

    async fn look(&self) -> Look<'_> {
        let looking = self.looking.lock().await;
        let name = names::dead_subscription(&self.subscription);
        let stream = self
            .subscriber
            .subscribe(&name)
            .set_max_lease_extension(LEASE)
            .set_max_outstanding_messages(SEEN as i64)
            .set_max_outstanding_bytes(SEEN_BYTES)
            .set_shutdown_behavior(ShutdownBehavior::NackImmediately)
            .build();
        Look {
            name,
            stream,
            handlers: Vec::new(),
            seen: 0,
            _looking: looking,
        }
    }
}

/// A stream of letters. Dropped or ended, it gives back those that were not acknowledged.
struct Look<'a> {
    name: String,
    stream: MessageStream,
    /// Those that are to be given back.
    handlers: Vec<Handler>,
    seen: usize,
    _looking: MutexGuard<'a, ()>,
}

impl Look<'_> {
    /// The next letter; `None` when there seems to be no other.
    async fn next(&mut self) -> Result<Option<(DeadLetter, Handler)>> {
        if self.seen == SEEN {
            return Ok(None);
        }
        let wait = if self.seen == 0 { FIRST } else { NEXT };
        match timeout(wait, self.stream.next()).await {
            Ok(Some(Ok((wire, handler)))) => {
                self.seen += 1;
                Ok(Some((letter(wire), handler)))
            }
            Ok(Some(Err(error))) => Err(error::failed(&self.name, "look at dead letters", error)),
            Ok(None) | Err(_) => Ok(None),
        }
    }

    /// Ends it, and returns when Google knows.
    async fn end(self) {
        let _ = timeout(FLUSH, self.stream.shutdown_token().shutdown()).await;
    }
}

fn letter(wire: Wire) -> DeadLetter {
    let (message, envelope) = message::incoming(wire);
    let attempts = envelope.attempts.unwrap_or_default();
    DeadLetter {
        id: envelope.id,
        attempts,
        reason: envelope.reason.unwrap_or_else(|| {
            format!("Google gave it up after {attempts} deliveries that no receiver ended")
        }),
        failed_at: envelope.published_at.unwrap_or_else(SystemTime::now),
        message,
    }
}
