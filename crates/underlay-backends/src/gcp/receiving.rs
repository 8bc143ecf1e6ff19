//! The receiving side, however messages come: pulled or pushed.
//!
//! Leases are in `queue.rs`, given-up messages in `dead_letters.rs`.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    ErrorKind, Result,
    gcp::{
        dead_letters::DeadLetters,
        queue::{Handle, Queue},
    },
    topic::{DeadLetter, Receipt, Received, Subscription},
};

/// How long a message that is being given up stays leased at least: longer than publishing it may take.
const GIVING_UP: Duration = Duration::from_secs(90);

/// How messages come into the queue.
#[async_trait]
pub(super) trait Source: Send + Sync + 'static {
    /// Makes messages come, if they do not yet.
    fn start(&self) -> Result<()>;

    /// Lets none come any more, and returns when Google knows what became of those that came.
    async fn stop(&self);
}

pub(super) struct Receiving<H: Handle> {
    pub(super) queue: Arc<Queue<H>>,
    pub(super) source: Arc<dyn Source>,
    pub(super) dead_letters: DeadLetters,
}

#[async_trait]
impl<H: Handle> Subscription for Receiving<H> {
    async fn receive(&self, max: usize, lease: Duration) -> Result<Vec<Received>> {
        if max == 0 || lease.is_zero() {
            let text = "receive no messages, or for no time: both must be above zero";
            return Err(self.queue.error(ErrorKind::InvalidArgument, text));
        }
        self.source.start()?;
        self.queue.receive(max, lease).await
    }

    async fn ack(&self, receipt: &Receipt) -> Result<()> {
        match self.queue.end(receipt)? {
            Some(ending) => ending.ack().await,
            None => Ok(()),
        }
    }

    async fn nack(&self, receipt: &Receipt, delay: Duration) -> Result<()> {
        self.queue.nack(receipt, delay)
    }

    async fn extend(&self, receipt: &Receipt, lease: Duration) -> Result<()> {
        self.queue.extend(receipt, lease)
    }

    async fn dead_letter(&self, receipt: &Receipt, reason: &str) -> Result<()> {
        let Some((id, attempt, message)) = self.queue.look(receipt, GIVING_UP)? else {
            return Ok(());
        };
        self.dead_letters
            .bury(&id, attempt, reason, message)
            .await?;
        self.ack(receipt).await
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

impl<H: Handle> Drop for Receiving<H> {
    fn drop(&mut self) {
        self.queue.close();
    }
}
