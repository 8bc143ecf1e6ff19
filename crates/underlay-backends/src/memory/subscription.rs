//! The receiving side of the broker: deliveries, their ends, and the waiting for them.
//!
//! Which message may be delivered is decided in `queue.rs`; the file is `journal.rs`.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use tokio::time::{Instant, timeout_at};

use crate::{
    Error, ErrorKind, Result, id,
    memory::{
        PROVIDER,
        broker::{Incoming, Inner, TopicState, full},
        journal::{Death, LetterEnd, Settlement, keep_since},
        queue::{Queue, Stored, Taken, after},
    },
    topic::{DeadLetter, Receipt, Received, Subscription},
};

pub(super) struct MemorySubscription {
    /// `topic/subscription`, for errors.
    pub(super) resource: String,
    pub(super) inner: Arc<Inner>,
    pub(super) topic: Arc<TopicState>,
    pub(super) exactly_once: bool,
    /// How long messages and dead letters are kept; `None` keeps them for ever.
    pub(super) retention: Option<Duration>,
    pub(super) queue: Arc<Queue>,
}

impl MemorySubscription {
    /// The place and the delivery number of a receipt.
    fn parse(&self, receipt: &Receipt) -> Result<(u64, u64)> {
        let parts = receipt.0.split_once('-');
        parts
            .and_then(|(seq, delivery)| Some((seq.parse().ok()?, delivery.parse().ok()?)))
            .ok_or_else(|| {
                let text = "the receipt is not one of this broker's";
                Error::new(ErrorKind::InvalidArgument, PROVIDER, &self.resource, text)
            })
    }

    /// Reads messages from the file while there is room for them.
    async fn read_more(&self) -> Result<()> {
        let Some(journal) = &self.inner.journal else {
            return Ok(());
        };
        if self.queue.wanted().is_none() {
            return Ok(());
        }
        let _reading = self.queue.reading.lock().await;
        let Some(wanted) = self.queue.wanted() else {
            return Ok(());
        };
        let messages = journal.backlog(self.queue.number, wanted.from, wanted.limit);
        self.queue.load(&wanted, messages.await?);
        Ok(())
    }

    /// The deliveries with their messages. Dropped before its end, it gives them back.
    async fn deliver(&self, taken: Vec<Taken>) -> Result<Vec<Received>> {
        let mut guard = PutBack {
            queue: &self.queue,
            taken,
        };
        let mut cold = HashMap::new();
        if let Some(journal) = &self.inner.journal {
            let missing: Vec<u64> = guard
                .taken
                .iter()
                .filter(|taken| taken.stored.hot.is_none())
                .map(|taken| taken.stored.seq)
                .collect();
            if !missing.is_empty() {
                cold = journal.read(missing).await?;
            }
            let attempts = guard
                .taken
                .iter()
                .map(|taken| (taken.stored.seq, taken.attempt))
                .collect();
            journal.note_attempts(self.queue.number, attempts).await?;
        }
        let mut received = Vec::with_capacity(guard.taken.len());
        for taken in &guard.taken {
            let stored = &taken.stored;
            let message = match &stored.hot {
                Some(hot) => hot.message.clone(),
                None => cold.remove(&stored.seq).ok_or_else(|| {
                    let text = "the message is missing in the broker's file";
                    Error::new(ErrorKind::Other, PROVIDER, &self.resource, text)
                })?,
            };
            received.push(Received {
                id: id::text(stored.id),
                attempt: taken.attempt,
                published_at: stored.published_at,
                message,
                receipt: Receipt(format!("{}-{}", stored.seq, taken.delivery)),
            });
        }
        guard.taken.clear();
        Ok(received)
    }

    /// Removes messages from the file that are out of the queue because of their age. What a caller that gives up
    /// leaves there is removed after the next start.
    async fn drop_expired(&self, expired: Vec<Arc<Stored>>) -> Result<()> {
        let Some(journal) = &self.inner.journal else {
            return Ok(());
        };
        for stored in expired {
            let place = journal.reserve(0).await?;
            let settlement = Settlement {
                topic: Arc::clone(&self.topic),
                subscription: self.queue.number,
                seq: stored.seq,
                dead: None,
            };
            drop(journal.settle(place, settlement, false)?);
        }
        Ok(())
    }

    /// Ends a dead letter; false when there is none of this id.
    async fn take_letter(&self, id: &str, end: LetterEnd) -> Result<bool> {
        let Some(id) = id::parse(id) else {
            return Ok(false);
        };
        if let Some(journal) = &self.inner.journal {
            return journal.take_letter(&self.queue, id, end).await;
        }
        let Some(letter) = self.queue.exhume(&id::text(id)) else {
            return Ok(false);
        };
        if end == LetterEnd::Release {
            let incoming = Incoming::now(id, letter.message.clone());
            let seq = self.inner.next_seq.fetch_add(1, Ordering::Relaxed);
            let stored = incoming.into_stored(seq, &self.inner.budget);
            if stored.hot.is_none() {
                self.queue.bury(letter, None);
                return Err(full("release a dead letter", &self.resource));
            }
            self.queue.push([Arc::new(stored)]);
        }
        Ok(true)
    }

    /// Removes a delivery's message from the queue and from the file.
    async fn settle(&self, receipt: &Receipt, reason: Option<&str>) -> Result<()> {
        let (seq, delivery) = self.parse(receipt)?;
        let failed_at = SystemTime::now();
        let keep_since = keep_since(self.retention, failed_at);
        let Some(journal) = &self.inner.journal else {
            if let Some((stored, attempts)) = self.queue.settle(seq, delivery)
                && let (Some(reason), Some(hot)) = (reason, &stored.hot)
            {
                let (id, reason, message) =
                    (id::text(stored.id), reason.to_owned(), hot.message.clone());
                self.queue.bury(
                    DeadLetter {
                        id,
                        attempts,
                        reason,
                        failed_at,
                        message,
                    },
                    keep_since,
                );
            }
            return Ok(());
        };
        // The place in the writer's line comes first: a caller that gives up while waiting has changed nothing.
        let place = journal.reserve(reason.map_or(0, str::len)).await?;
        let Some((_, attempts)) = self.queue.settle(seq, delivery) else {
            return Ok(());
        };
        let death = |reason: &str| Death {
            attempts,
            reason: reason.to_owned(),
            failed_at,
            keep_since,
        };
        let settlement = Settlement {
            topic: Arc::clone(&self.topic),
            subscription: self.queue.number,
            seq,
            dead: reason.map(death),
        };
        let urgent = self.exactly_once || reason.is_some();
        let written = journal.settle(place, settlement, urgent)?;
        if urgent { written.await } else { Ok(()) }
    }
}

/// Gives deliveries back when a receiver goes away before it has seen them.
struct PutBack<'a> {
    queue: &'a Queue,
    taken: Vec<Taken>,
}

impl PutBack<'_> {
    fn keep(mut self) -> Vec<Taken> {
        std::mem::take(&mut self.taken)
    }
}

impl Drop for PutBack<'_> {
    fn drop(&mut self) {
        if !self.taken.is_empty() {
            self.queue.put_back(&self.taken);
        }
    }
}

#[async_trait]
impl Subscription for MemorySubscription {
    async fn receive(&self, max: usize, lease: Duration) -> Result<Vec<Received>> {
        if max == 0 || lease.is_zero() {
            let text = "receive no messages, or for no time: both must be above zero";
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                PROVIDER,
                &self.resource,
                text,
            ));
        }
        loop {
            self.read_more().await?;
            // Registered before looking, so that a message that comes in between is not slept through.
            let notified = self.queue.notify.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            let next_delivery = || self.inner.next_delivery.fetch_add(1, Ordering::Relaxed);
            let take = self
                .queue
                .take(max, lease, self.retention, Instant::now(), next_delivery);
            let Some(take) = take else {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    PROVIDER,
                    &self.resource,
                    "receive messages: the broker is closed",
                ));
            };
            let taken = PutBack {
                queue: &self.queue,
                taken: take.taken,
            };
            self.drop_expired(take.expired).await?;
            let taken = taken.keep();
            if !taken.is_empty() {
                return self.deliver(taken).await;
            }
            if self.queue.wanted().is_some() {
                continue;
            }
            match take.next_due {
                Some(due) => drop(timeout_at(due, notified).await),
                None => notified.await,
            }
        }
    }

    async fn ack(&self, receipt: &Receipt) -> Result<()> {
        self.settle(receipt, None).await
    }

    async fn nack(&self, receipt: &Receipt, delay: Duration) -> Result<()> {
        let (seq, delivery) = self.parse(receipt)?;
        self.queue
            .delay(seq, delivery, after(Instant::now(), delay));
        Ok(())
    }

    async fn extend(&self, receipt: &Receipt, lease: Duration) -> Result<()> {
        let (seq, delivery) = self.parse(receipt)?;
        self.queue
            .extend(seq, delivery, after(Instant::now(), lease));
        Ok(())
    }

    async fn dead_letter(&self, receipt: &Receipt, reason: &str) -> Result<()> {
        self.settle(receipt, Some(reason)).await
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        let since = keep_since(self.retention, SystemTime::now()).unwrap_or(SystemTime::UNIX_EPOCH);
        let letters = match &self.inner.journal {
            Some(journal) => {
                journal
                    .dead_letters(self.queue.number, limit, since)
                    .await?
            }
            None => self.queue.dead(limit, since),
        };
        Ok(letters)
    }

    async fn release(&self, id: &str) -> Result<bool> {
        self.take_letter(id, LetterEnd::Release).await
    }

    async fn discard(&self, id: &str) -> Result<bool> {
        self.take_letter(id, LetterEnd::Discard).await
    }
}
