//! When to receive how much: as many messages as there are handlers free, and as many ahead of them as were handled in the
//! last moment, so that quick handlers need not wait for the broker and slow ones take nothing from other instances.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until};
use underlay_backends::topic::Received;

use super::{Consumer, backoff};

/// The most messages that are asked for at once, and that wait for a handler.
pub(super) const MAX_BATCH: usize = 500;
/// The moment whose messages are received ahead.
const PERIOD: Duration = Duration::from_millis(100);
/// How long a message may wait for a handler before it is given back: handlers are not as quick any more.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the first wait is after receiving has failed, and the longest.
const RETRY: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(30)];

/// How many messages handlers begin with in a period.
struct Pace {
    since: Instant,
    count: usize,
    /// In the period before.
    last: usize,
}

impl Pace {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            count: 0,
            last: 0,
        }
    }

    fn begin(&mut self) {
        self.turn();
        self.count += 1;
    }

    fn last(&mut self) -> usize {
        self.turn();
        self.last
    }

    fn turn(&mut self) {
        let elapsed = self.since.elapsed();
        if elapsed >= PERIOD {
            self.last = if elapsed < PERIOD * 2 { self.count } else { 0 };
            self.count = 0;
            self.since = Instant::now();
        }
    }
}

type Receiving = Pin<Box<dyn Future<Output = underlay_backends::Result<Vec<Received>>> + Send>>;

/// Messages that wait for a handler, all of them received at one time or later.
#[derive(Default)]
struct Ahead {
    messages: VecDeque<Received>,
    since: Option<Instant>,
}

impl Ahead {
    /// Ends when they have waited too long.
    async fn too_long(&self) {
        match self.since {
            Some(since) if !self.messages.is_empty() => sleep_until(since + PATIENCE).await,
            _ => pending().await,
        }
    }
}

impl Consumer {
    /// Receives and handles until `stop` turns true, then until every handler that runs has ended.
    pub(crate) async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let limit = usize::try_from(self.options.max_concurrency)
            .unwrap_or(usize::MAX)
            .min(Semaphore::MAX_PERMITS);
        let permits = Arc::new(Semaphore::new(limit));
        let mut pace = Pace::new();
        let mut ahead = Ahead::default();
        let mut receiving: Option<Receiving> = None;
        let mut failures = 0;
        loop {
            while !ahead.messages.is_empty()
                && let Ok(permit) = Arc::clone(&permits).try_acquire_owned()
            {
                pace.begin();
                self.begin(&mut ahead, permit);
            }
            if receiving.is_none() {
                let most_ahead = pace.last().min(MAX_BATCH);
                let room = (permits.available_permits() + most_ahead)
                    .saturating_sub(ahead.messages.len())
                    .min(MAX_BATCH);
                // Not a message at a time: handlers have something to do meanwhile.
                if room > most_ahead / 2 {
                    receiving = Some(self.receiving(room, failures));
                }
            }
            let is_idle = receiving.is_none();
            let next = async {
                match &mut receiving {
                    Some(receiving) => receiving.await,
                    None => pending().await,
                }
            };
            let waits = !ahead.messages.is_empty();
            tokio::select! {
                biased;
                // A dropped sender means the same: nobody is left who would want more.
                () = async { drop(stop.wait_for(|stopped| *stopped).await) } => break,
                received = next => {
                    receiving = None;
                    match received {
                        Ok(received) => {
                            failures = 0;
                            ahead.since = Some(Instant::now());
                            ahead.messages.extend(received);
                        }
                        Err(error) => {
                            self.receiving_failed(&error, failures);
                            failures = failures.saturating_add(1);
                        }
                    }
                }
                permit = Arc::clone(&permits).acquire_owned(), if waits || is_idle => {
                    // The semaphore is never closed.
                    if let Ok(permit) = permit && waits {
                        pace.begin();
                        self.begin(&mut ahead, permit);
                    }
                }
                () = ahead.too_long() => {
                    pace = Pace::new();
                    // It would take them again.
                    receiving = None;
                    self.give_back(&mut ahead).await;
                }
            }
        }
        // What it would receive comes again.
        drop(receiving);
        self.give_back(&mut ahead).await;
        // Every handler that runs has one, so none is left that runs.
        let _every = permits
            .acquire_many(u32::try_from(limit).unwrap_or(u32::MAX))
            .await;
    }

    /// Handles the first message that waits.
    fn begin(self: &Arc<Self>, ahead: &mut Ahead, permit: OwnedSemaphorePermit) {
        let Some(received) = ahead.messages.pop_front() else {
            return;
        };
        let consumer = Arc::clone(self);
        tokio::spawn(async move {
            consumer.deliver(received).await;
            drop(permit);
        });
    }

    /// Receives, after a wait if that has failed before.
    fn receiving(&self, max: usize, failures: u32) -> Receiving {
        let (source, lease) = (Arc::clone(&self.source), self.lease());
        Box::pin(async move {
            if failures > 0 {
                sleep(retry_after(failures - 1)).await;
            }
            source.receive(max, lease).await
        })
    }

    fn receiving_failed(&self, error: &underlay_backends::Error, failures: u32) {
        tracing::warn!(
            target: "underlay",
            topic = self.topic,
            subscription = self.name,
            error = crate::error::chain(error),
            "receiving failed; trying again in about {:?}", retry_after(failures),
        );
    }

    /// Gives back messages that no handler has seen.
    async fn give_back(&self, ahead: &mut Ahead) {
        let messages = std::mem::take(&mut ahead.messages);
        let given_back = messages.iter().map(async |received| {
            let told = self.source.nack(&received.receipt, Duration::ZERO).await;
            if let Err(error) = told {
                let error = crate::error::chain(&error);
                tracing::warn!(target: "underlay", error, "a message was not given back; it comes again after its lease");
            }
        });
        join_all(given_back).await;
    }
}

fn retry_after(failures: u32) -> Duration {
    backoff(RETRY[0], RETRY[1], failures)
}
