//! The receiving side: leases and their ends.
//!
//! How messages come from SQS is in `pull.rs`, how they are acknowledged in `deletes.rs`, where given-up ones go in
//! `dead_letters.rs`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;

use crate::{
    Error, ErrorKind, Result,
    aws::{
        dead_letters::DeadLetters,
        deletes::Deletes,
        message,
        pull::{Held, Leased, Puller},
        queue::{Delivery, MAX_HIDDEN, Queue},
    },
    topic::{DeadLetter, Receipt, Received, Subscription},
};

pub(super) struct SqsSubscription {
    pub(super) queue: Queue,
    pub(super) puller: Arc<Puller>,
    pub(super) deletes: Arc<Deletes>,
    pub(super) dead_letters: DeadLetters,
    /// An acknowledgement that comes too late is an error.
    pub(super) exactly_once: bool,
    /// What is delivered now: SQS does not give a message by its receipt.
    pub(super) delivered: Mutex<HashMap<String, Delivered>>,
}

/// A delivery whose lease has not ended.
///
/// Its end is counted from when we heard of the delivery, so it is later than SQS's: what has ended here has ended there.
pub(super) struct Delivered {
    /// `None` when it was acknowledged; remembered where that may be done only once.
    delivery: Option<Delivery>,
    until: Instant,
}

impl SqsSubscription {
    fn error(&self, kind: ErrorKind, text: &'static str) -> Error {
        self.queue.error(kind, text)
    }

    fn delivered(&self) -> MutexGuard<'_, HashMap<String, Delivered>> {
        self.delivered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn checked(&self, hidden: Duration, text: &'static str) -> Result<Duration> {
        if hidden > MAX_HIDDEN {
            return Err(self.error(ErrorKind::InvalidArgument, text));
        }
        Ok(hidden)
    }

    fn received(&self, leased: Vec<Leased>) -> Vec<Received> {
        let now = Instant::now();
        let mut delivered = self.delivered();
        // Those whose lease has ended are somebody else's.
        delivered.retain(|_, it| it.until > now);
        let mut received = Vec::with_capacity(leased.len());
        for Leased {
            delivery, until, ..
        } in leased
        {
            received.push(Received {
                id: delivery.incoming.head.id.clone(),
                attempt: delivery.attempt(),
                published_at: message::time(delivery.published()),
                message: delivery.incoming.message.clone(),
                receipt: Receipt(delivery.receipt.clone()),
            });
            let receipt = delivery.receipt.clone();
            let delivery = Some(delivery);
            delivered.insert(receipt, Delivered { delivery, until });
        }
        received
    }

    /// Whether a delivery has not ended.
    fn is_leased(&self, receipt: &str) -> bool {
        let now = Instant::now();
        self.delivered()
            .get(receipt)
            .is_some_and(|it| it.until > now)
    }

    /// Removes a delivered message; false when the delivery had ended before.
    async fn delete(&self, receipt: &str, attempted: &'static str) -> Result<bool> {
        if self.exactly_once {
            match self.delivered().get(receipt) {
                Some(delivered) if delivered.until > Instant::now() => {
                    if delivered.delivery.is_none() {
                        return Ok(true);
                    }
                }
                _ => return Ok(false),
            }
        }
        let outcome = self.deletes.delete(receipt).await.ok_or_else(|| {
            let text = "end a delivery: the broker is closed";
            self.error(ErrorKind::Unavailable, text)
        })?;
        let is_done = match outcome {
            Ok(()) => true,
            Err(failure) if failure.is_stale() => false,
            Err(failure) => return Err(self.queue.failed(failure, attempted)),
        };
        let mut delivered = self.delivered();
        match delivered.get_mut(receipt) {
            Some(delivered) if self.exactly_once && is_done => delivered.delivery = None,
            _ => drop(delivered.remove(receipt)),
        }
        Ok(is_done)
    }
}

#[async_trait]
impl Subscription for SqsSubscription {
    async fn receive(&self, max: usize, lease: Duration) -> Result<Vec<Received>> {
        if max == 0 || lease.is_zero() {
            let text = "receive no message, or with a lease of no time";
            return Err(self.error(ErrorKind::InvalidArgument, text));
        }
        let lease = self.checked(
            lease,
            "receive messages: SQS leases for at most twelve hours",
        )?;
        loop {
            let mut held = Held {
                puller: &self.puller,
                leased: self.puller.pull(max, lease).await?,
            };
            held.set_lease(lease).await;
            let leased = std::mem::take(&mut held.leased);
            if !leased.is_empty() {
                return Ok(self.received(leased));
            }
        }
    }

    async fn ack(&self, receipt: &Receipt) -> Result<()> {
        let is_done = self.delete(&receipt.0, "acknowledge a message").await?;
        if is_done || !self.exactly_once {
            return Ok(());
        }
        let text = "acknowledge a message: its lease has ended, so it is delivered again; ask for a longer lease, or extend it";
        Err(self.error(ErrorKind::PreconditionFailed, text))
    }

    async fn nack(&self, receipt: &Receipt, delay: Duration) -> Result<()> {
        let delay = self.checked(
            delay,
            "give a message back: SQS holds it back for at most twelve hours",
        )?;
        if !self.is_leased(&receipt.0) {
            // It is back already, and may be with another receiver.
            return Ok(());
        }
        match self.queue.hide(&receipt.0, delay).await {
            Err(failure) if !failure.is_stale() => {
                Err(self.queue.failed(failure, "give a message back"))
            }
            _ => {
                self.delivered().remove(&receipt.0);
                Ok(())
            }
        }
    }

    async fn extend(&self, receipt: &Receipt, lease: Duration) -> Result<()> {
        let lease = self.checked(lease, "extend a lease: SQS leases for at most twelve hours")?;
        let ended = || {
            let text = "extend a lease: it has ended, so the message is delivered again";
            self.error(ErrorKind::PreconditionFailed, text)
        };
        if !self.is_leased(&receipt.0) {
            return Err(ended());
        }
        match self.queue.hide(&receipt.0, lease).await {
            Ok(()) => {}
            Err(failure) if failure.is_stale() => return Err(ended()),
            Err(failure) => return Err(self.queue.failed(failure, "extend a lease")),
        }
        if let Some(delivered) = self.delivered().get_mut(&receipt.0) {
            delivered.until = Instant::now() + lease;
        }
        Ok(())
    }

    async fn dead_letter(&self, receipt: &Receipt, reason: &str) -> Result<()> {
        let delivery = {
            let delivered = self.delivered();
            let delivered = delivered
                .get(&receipt.0)
                .filter(|it| it.until > Instant::now());
            let delivery = delivered.and_then(|it| it.delivery.clone());
            delivery.ok_or_else(|| {
                let text = "give a message up: its lease has ended, or the receipt is not one of this subscription's";
                self.error(ErrorKind::InvalidArgument, text)
            })?
        };
        let message = &delivery.incoming.message;
        self.dead_letters.bury(&delivery, message, reason).await?;
        if self.delete(&receipt.0, "give a message up").await? {
            return Ok(());
        }
        let text = "give a message up: its lease ended meanwhile, so it is a dead letter and is delivered again";
        Err(self.error(ErrorKind::PreconditionFailed, text))
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        self.dead_letters.oldest(limit).await
    }

    async fn release(&self, id: &str) -> Result<bool> {
        self.dead_letters.release(id).await
    }

    async fn discard(&self, id: &str) -> Result<bool> {
        self.dead_letters.discard(id).await
    }
}
