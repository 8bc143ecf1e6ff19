//! The receiving side of an ordered subscription: one receiver at a time, which hands out of each key the earliest message
//! only.
//!
//! The task that receives is in `session.rs`, what it holds in `hold.rs`. Here is what callers ask of it.

mod hold;
mod session;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_nats::{Client, Subject, client::Request};
use async_trait::async_trait;
use tokio::sync::Notify;

use crate::{
    Error, ErrorKind, Result,
    nats::{
        claim::Claims,
        dead_letters::DeadLetters,
        error::Classified as _,
        message::Delivery,
        ordered::hold::{Hold, Receipt as Worth, Settled},
        streams::DurableConsumer,
    },
    tasks::Tasks,
    topic::{DeadLetter, Receipt, Received, Subscription},
};

/// A handle of an ordered subscription. Its task starts with the first that receives, and ends with it.
pub(super) struct OrderedSubscription {
    line: Arc<Line>,
    dead_letters: DeadLetters,
}

/// What a subscription and its task share.
pub(super) struct Line {
    /// `topic/subscription`, for errors.
    pub(super) resource: String,
    pub(super) client: Client,
    pub(super) consumer: DurableConsumer,
    pub(super) claims: Claims,
    pub(super) tasks: Arc<Tasks>,
    shared: Mutex<Shared>,
    /// Something can be handed out, or receiving failed.
    changed: Notify,
    /// The task has something to do.
    poke: Notify,
}

struct Shared {
    is_running: bool,
    is_stopped: bool,
    /// There while this is the receiver, and until then.
    hold: Option<Hold>,
    valid_until: Instant,
    /// What was settled before, while there is nothing held.
    settled: Settled,
    /// When the task looks at what is held, if nothing pokes it.
    wakes: Instant,
    /// How often receiving failed, and why the last time.
    failures: u64,
    failure: Option<Arc<Error>>,
}

impl Line {
    pub(super) fn new(
        resource: String,
        client: Client,
        consumer: DurableConsumer,
        claims: Claims,
        tasks: Arc<Tasks>,
    ) -> Self {
        let now = Instant::now();
        Self {
            resource,
            client,
            consumer,
            claims,
            tasks,
            shared: Mutex::new(Shared {
                is_running: false,
                is_stopped: false,
                hold: None,
                valid_until: now,
                settled: Settled::default(),
                wakes: now,
                failures: 0,
                failure: None,
            }),
            changed: Notify::new(),
            poke: Notify::new(),
        }
    }

    /// Tells the server what becomes of a delivery, and waits until it knows.
    async fn tell(&self, reply: &Subject, word: &'static str, attempted: &str) -> Result<()> {
        let request = Request::new().payload(word.into());
        let answer = self.client.send_request(reply.clone(), request);
        answer.await.map(drop).map_err(|error| {
            let kind = error.class();
            let why = match kind {
                ErrorKind::NotFound => "the consumer is gone",
                _ => "the server did not confirm it in time",
            };
            self.error(kind, format!("{attempted}: {why}"))
                .with_source(error)
        })
    }
}

impl Drop for OrderedSubscription {
    fn drop(&mut self) {
        self.line.shared().is_stopped = true;
        self.line.poke.notify_one();
    }
}

impl OrderedSubscription {
    pub(super) fn new(line: Line, dead_letters: DeadLetters) -> Self {
        Self {
            line: Arc::new(line),
            dead_letters,
        }
    }

    /// Does something with a message that is held and whose receipt is the current one. `None` when the delivery has
    /// ended.
    fn current<T>(
        &self,
        receipt: &Receipt,
        action: impl FnOnce(&mut Hold, &Delivery<'_>, Subject) -> T,
    ) -> Result<Option<T>> {
        let line = &*self.line;
        let consumer = &line.consumer;
        let delivery = Delivery::parse(&receipt.0)
            .filter(|it| it.stream == consumer.stream && it.consumer == consumer.name)
            .ok_or_else(|| {
                let text = "the receipt is not one of this subscription's";
                line.error(ErrorKind::InvalidArgument, text)
            })?;
        let mut shared = line.shared();
        let is_valid = Instant::now() < shared.valid_until;
        let worth = match shared.hold.as_ref().filter(|_| is_valid) {
            Some(hold) => hold.receipt(delivery.position(), &receipt.0),
            None => Worth::Unknown,
        };
        match (worth, &mut shared.hold) {
            (Worth::Current(reply), Some(hold)) => Ok(Some(action(hold, &delivery, reply))),
            (Worth::Ended, _) => Ok(None),
            _ => {
                let text = "the message is no longer held here: the connection was lost for too long, and another receiver \
                            may have it; it is delivered again";
                Err(line.error(ErrorKind::Unavailable, text))
            }
        }
    }

    /// Ends a message for good.
    async fn settle(
        &self,
        receipt: &Receipt,
        word: &'static str,
        attempted: &'static str,
    ) -> Result<()> {
        let line = &*self.line;
        let begun = self.current(receipt, |hold, delivery, reply| {
            hold.settling(delivery.position(), word, Instant::now());
            (reply, delivery.position())
        })?;
        let Some((reply, position)) = begun else {
            return Ok(());
        };
        // Not confirmed, or cancelled here, the task tells the server again.
        line.tell(&reply, word, attempted).await?;
        line.settled(position);
        Ok(())
    }

    /// Pokes the task if it has to look at what is held earlier than it thinks.
    fn due_at(&self, time: Duration) {
        let wakes = self.line.shared().wakes;
        if Instant::now() + time < wakes {
            self.line.poke.notify_one();
        }
    }

    fn start(&self) {
        let mut shared = self.line.shared();
        if !std::mem::replace(&mut shared.is_running, true) {
            self.line.tasks.spawn(session::run(Arc::clone(&self.line)));
        }
    }
}

#[async_trait]
impl Subscription for OrderedSubscription {
    async fn receive(&self, max: usize, lease: Duration) -> Result<Vec<Received>> {
        let line = &*self.line;
        if max == 0 || lease.is_zero() {
            let text = "receive no message, or with a lease of no time";
            return Err(line.error(ErrorKind::InvalidArgument, text));
        }
        self.start();
        let failures = line.shared().failures;
        loop {
            let changed = line.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if line.tasks.is_closed() {
                let text = "receive messages: the broker is closed";
                return Err(line.error(ErrorKind::Unavailable, text));
            }
            let taken = {
                let mut shared = line.shared();
                if shared.failures != failures
                    && let Some(failure) = &shared.failure
                {
                    let text = "receive messages in order: it failed, and is tried again";
                    return Err(line
                        .error(failure.kind(), text)
                        .with_source(Arc::clone(failure)));
                }
                let now = Instant::now();
                let is_valid = now < shared.valid_until;
                let hold = shared.hold.as_mut().filter(|_| is_valid);
                hold.map_or_else(Vec::new, |hold| hold.take(max, lease, now))
            };
            if !taken.is_empty() {
                self.due_at(lease);
                return Ok(taken);
            }
            tokio::select! {
                () = changed => {}
                () = line.tasks.closed() => {}
            }
        }
    }

    async fn ack(&self, receipt: &Receipt) -> Result<()> {
        self.settle(receipt, "+ACK", "acknowledge").await
    }

    async fn nack(&self, receipt: &Receipt, delay: Duration) -> Result<()> {
        self.current(receipt, |hold, delivery, _| {
            hold.delay(delivery.position(), delay, Instant::now());
        })?;
        self.due_at(delay);
        Ok(())
    }

    async fn extend(&self, receipt: &Receipt, lease: Duration) -> Result<()> {
        self.current(receipt, |hold, delivery, _| {
            hold.extend(delivery.position(), lease, Instant::now());
        })?;
        self.due_at(lease);
        Ok(())
    }

    async fn dead_letter(&self, receipt: &Receipt, reason: &str) -> Result<()> {
        if self.current(receipt, |_, _, _| ())?.is_none() {
            return Ok(());
        }
        if let Some(delivery) = Delivery::parse(&receipt.0) {
            self.dead_letters.bury(&delivery, reason).await?;
        }
        // Ended before this is heard, the letter is there already and is not stored twice.
        self.settle(receipt, "+TERM", "give a message up").await
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
