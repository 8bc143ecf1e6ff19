//! The dead letters of a subscription: a topic, and a subscription of it that keeps them.
//!
//! Google has no way to look at messages without leasing them: a look pulls until no other comes, and gives back what
//! it pulled.

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use google_cloud_pubsub::model::Message as Wire;
use tokio::sync::Mutex;

use crate::{
    Result,
    gcp::{message, names, topic::GcpTopic, unary::Unary},
    topic::{DeadLetter, Message},
};

/// How many letters one look sees.
const SEEN: usize = 10_000;
/// How many bytes they may have together before no more are pulled.
const SEEN_BYTES: usize = 256 << 20;
/// After how many pulls without another letter there is none: one alone may be empty although there are some.
const EMPTY: usize = 2;

pub(super) struct DeadLetters {
    /// The subscription whose messages are given up.
    pub(super) subscription: String,
    pub(super) unary: Unary,
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
        let _looking = self.looking.lock().await;
        let (mut letters, receipts) = self.look().await?;
        self.give_back(receipts.into_values()).await?;
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
        let _looking = self.looking.lock().await;
        let (letters, mut receipts) = self.look().await?;
        let taken = receipts.remove(id);
        self.give_back(receipts.into_values()).await?;
        let letter = letters.into_iter().find(|letter| letter.id == id);
        let (Some(letter), Some(taken)) = (letter, taken) else {
            return Ok(false);
        };
        if release {
            let wire = message::released(letter.message, id, &self.subscription);
            self.topic.send(vec![wire]).await?;
        }
        self.unary
            .ack(&names::dead_subscription(&self.subscription), &taken)
            .await?;
        Ok(true)
    }

    /// Leases all letters: each once, and by id what ends its deliveries. There are several of one letter if it was
    /// delivered twice, or if a process died after it had published it and before it had said so.
    async fn look(&self) -> Result<(Vec<DeadLetter>, HashMap<String, Vec<String>>)> {
        let name = names::dead_subscription(&self.subscription);
        let (mut letters, mut receipts) = (Vec::new(), HashMap::<String, Vec<String>>::new());
        let (mut bytes, mut empty) = (0, 0);
        while empty < EMPTY && letters.len() < SEEN && bytes < SEEN_BYTES {
            let before = letters.len();
            for pulled in self.unary.pull(&name).await? {
                let letter = letter(pulled.message);
                let of_letter = receipts.entry(letter.id.clone()).or_default();
                of_letter.push(pulled.ack_id);
                if of_letter.len() == 1 {
                    bytes += letter.message.size();
                    letters.push(letter);
                }
            }
            // Those that came again are leased to somebody, or their leases have ended: there are no others.
            empty = if letters.len() == before {
                empty + 1
            } else {
                0
            };
        }
        Ok((letters, receipts))
    }

    async fn give_back(&self, receipts: impl Iterator<Item = Vec<String>>) -> Result<()> {
        let receipts: Vec<String> = receipts.flatten().collect();
        let name = names::dead_subscription(&self.subscription);
        self.unary.give_back(&name, &receipts).await
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
