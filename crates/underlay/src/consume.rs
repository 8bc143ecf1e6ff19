//! The loop of every subscription: receive, decode, handle under the concurrency limit, then acknowledge, give back
//! with backoff, or dead-letter. It exists once, for every broker.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use rand::RngExt as _;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::Instrument as _;
use underlay_backends::topic::{Receipt, Received, Subscription as Source};
use underlay_model::filter::Filter;
use underlay_model::{duration, model};

#[cfg(feature = "postgres")]
use crate::idempotence::Idempotence;
use crate::subscription::{Delivery, Handle, HandlerError};
use crate::topic::MessageId;
use crate::{Error, ErrorKind};

mod flow;

use flow::MAX_BATCH;

/// The longest lease before its slack. While a handler runs for longer, its message's lease is extended, so a message
/// comes back soon after a process has died, however long its handler may take.
const MAX_LEASE: Duration = Duration::from_secs(30);
/// How much longer than the handler's deadline a message stays leased, so that giving it back is not too late.
const LEASE_SLACK: Duration = Duration::from_secs(5);
/// How many deliveries may end without an outcome, because the process died, before they count as retries. A message
/// that kills every process it is given to must not do so for ever.
const DEATHS: u32 = 20;

/// A subscription with its handler, its broker and its delivery options.
pub(crate) struct Consumer {
    topic: String,
    name: String,
    handle: Handle,
    source: Arc<dyn Source>,
    filter: Filter,
    #[cfg(feature = "postgres")]
    idempotence: Option<Idempotence>,
    options: Options,
}

/// The delivery options with their durations read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Options {
    max_concurrency: u32,
    ack_deadline: Duration,
    min_backoff: Duration,
    max_backoff: Duration,
    max_retries: Option<u32>,
}

/// How long a message is leased for a handler that may take `ack_deadline`.
pub(crate) fn lease(ack_deadline: Duration) -> Duration {
    ack_deadline.min(MAX_LEASE) + LEASE_SLACK
}

/// After how many deliveries a message is given up whatever happened to them.
pub(crate) fn max_deliveries(max_retries: u32) -> u32 {
    max_retries.max(DEATHS).saturating_add(1)
}

/// What became of one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Handled and acknowledged.
    Handled,
    /// Acknowledged without the handler: the subscription's filter leaves it out.
    Unwanted,
    /// Failed, to be delivered again after the delay.
    Retried {
        /// Why.
        reason: String,
        /// When.
        delay: Duration,
    },
    /// Failed for good.
    DeadLettered {
        /// Why.
        reason: String,
    },
}

impl Consumer {
    /// A consumer for a declared subscription.
    ///
    /// # Errors
    ///
    /// A duration of the model that cannot be read.
    pub(crate) fn new(
        subscription: &model::Subscription,
        handle: Handle,
        source: Arc<dyn Source>,
    ) -> Result<Self, String> {
        let options = &subscription.delivery;
        Ok(Self {
            topic: subscription.topic.clone(),
            name: subscription.name.clone(),
            handle,
            source,
            filter: subscription.filter.clone(),
            #[cfg(feature = "postgres")]
            idempotence: None,
            options: Options {
                max_concurrency: options.max_concurrency.max(1),
                ack_deadline: duration::parse(&options.ack_deadline)?,
                min_backoff: duration::parse(&options.min_backoff)?,
                max_backoff: duration::parse(&options.max_backoff)?,
                max_retries: options.max_retries,
            },
        })
    }

    /// The same consumer, with a record of what was handled.
    #[cfg(feature = "postgres")]
    pub(crate) fn idempotent(self, idempotence: Option<Idempotence>) -> Self {
        Self {
            idempotence,
            ..self
        }
    }

    /// The topic's name.
    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// The topic's and the subscription's name.
    pub(crate) fn id(&self) -> String {
        format!("{}/{}", self.topic, self.name)
    }

    /// How long a delivery is leased.
    pub(crate) fn lease(&self) -> Duration {
        lease(self.options.ack_deadline)
    }

    /// The messages that could be delivered now, without waiting.
    pub(crate) async fn receive_ready(&self) -> Result<Vec<Received>, Error> {
        match tokio::time::timeout(Duration::ZERO, self.source.receive(MAX_BATCH, self.lease()))
            .await
        {
            Ok(received) => Ok(received?),
            Err(_) => Ok(Vec::new()),
        }
    }

    /// Handles one delivery and tells the broker what became of it.
    pub(crate) async fn deliver(&self, received: Received) -> Outcome {
        if !self.filter.matches(&received.message.attributes) {
            if let Err(error) = self.source.ack(&received.receipt).await {
                let error = crate::error::chain(&error);
                tracing::warn!(target: "underlay", error, "a message that the filter leaves out was not acknowledged");
            }
            return Outcome::Unwanted;
        }
        let span = tracing::info_span!(
            target: "underlay",
            "subscription",
            topic = self.topic,
            subscription = self.name,
            message_id = received.id,
            attempt = received.attempt,
        );
        let outcome = self.handle(&received).instrument(span.clone()).await;
        let told = match &outcome {
            Outcome::Handled | Outcome::Unwanted => self.source.ack(&received.receipt).await,
            Outcome::Retried { delay, .. } => self.source.nack(&received.receipt, *delay).await,
            Outcome::DeadLettered { reason } => {
                self.source.dead_letter(&received.receipt, reason).await
            }
        };
        // Only now: who reads that a message is dead-lettered finds it there.
        span.in_scope(|| log(&outcome, told));
        outcome
    }

    async fn handle(&self, received: &Received) -> Outcome {
        if let Some(max) = self.options.max_retries.map(max_deliveries)
            && received.attempt > max
        {
            let reason = format!(
                "delivered {} times and neither handled nor given back; the process may have ended in each handler",
                received.attempt - 1
            );
            return Outcome::DeadLettered { reason };
        }
        let deadline = Instant::now() + self.options.ack_deadline;
        let _extended = self.extended(&received.receipt);
        let delivery = Delivery {
            id: MessageId::new(received.id.clone()),
            attempt: received.attempt,
            published_at: received.published_at,
            attributes: received.message.attributes.clone(),
            ordering_key: received.message.ordering_key.clone(),
            deadline,
            #[cfg(feature = "postgres")]
            transaction: None,
        };
        let handler = self.call(received, delivery);
        let result =
            match tokio::time::timeout_at(deadline, AssertUnwindSafe(handler).catch_unwind()).await
            {
                Ok(Ok(result)) => result,
                Ok(Err(panic)) => {
                    Err(format!("the handler panicked: {}", panic_text(&*panic)).into())
                }
                Err(_) => Err(format!(
                    "the handler took longer than {:?}",
                    self.options.ack_deadline
                )
                .into()),
            };
        match result {
            Ok(()) => Outcome::Handled,
            Err(error) => self.failed(received.attempt, &error),
        }
    }

    /// Calls the handler, if what it does is not done already.
    async fn call(&self, received: &Received, delivery: Delivery) -> Result<(), HandlerError> {
        let body = received.message.body.clone();
        #[cfg(feature = "postgres")]
        if let Some(idempotence) = &self.idempotence {
            let handle = |delivery| (self.handle)(body, delivery);
            // On the heap: every delivery would carry the room for it, and most need none.
            return Box::pin(idempotence.once(delivery, handle)).await;
        }
        (self.handle)(body, delivery).await
    }

    /// Extends a delivery's lease for as long as what this returns lives, if the handler may take longer than one.
    ///
    /// A task of its own, so that a handler which keeps its thread busy does not lose its message.
    fn extended(&self, receipt: &Receipt) -> Option<AbortOnDrop> {
        let lease = self.lease();
        if self.options.ack_deadline < lease {
            return None;
        }
        let (source, receipt) = (Arc::clone(&self.source), receipt.clone());
        let id = self.id();
        Some(AbortOnDrop(tokio::spawn(async move {
            loop {
                tokio::time::sleep(lease / 3).await;
                if let Err(error) = source.extend(&receipt, lease).await {
                    let error = crate::error::chain(&error);
                    tracing::warn!(
                        target: "underlay",
                        subscription = id,
                        error,
                        "a lease was not extended; the message may be delivered again while its handler runs",
                    );
                }
            }
        })))
    }

    fn failed(&self, attempt: u32, error: &HandlerError) -> Outcome {
        let reason = crate::error::chain(&**error);
        let unrecoverable = error
            .downcast_ref::<Error>()
            .is_some_and(|error| error.kind() == ErrorKind::Unrecoverable);
        let retries = attempt.saturating_sub(1);
        if unrecoverable || self.options.max_retries.is_some_and(|max| retries >= max) {
            return Outcome::DeadLettered { reason };
        }
        let delay = backoff(self.options.min_backoff, self.options.max_backoff, retries);
        Outcome::Retried { reason, delay }
    }
}

/// Says what became of a delivery, and whether the broker was told.
fn log(outcome: &Outcome, told: underlay_backends::Result<()>) {
    let untold = told.err().map(|error| crate::error::chain(&error));
    match (outcome, &untold) {
        (Outcome::Handled | Outcome::Unwanted, None) => {
            tracing::debug!(target: "underlay", "handled");
        }
        (Outcome::Handled | Outcome::Unwanted, Some(error)) => {
            tracing::warn!(target: "underlay", error, "handled, but not acknowledged; it will be delivered again");
        }
        (Outcome::Retried { reason, delay }, None) => {
            tracing::warn!(target: "underlay", reason, "the handler failed; delivering again in {delay:?}");
        }
        (Outcome::Retried { reason, .. }, Some(error)) => {
            tracing::warn!(
                target: "underlay",
                reason,
                error,
                "the handler failed, and the broker was not told; delivering again when its lease ends",
            );
        }
        (Outcome::DeadLettered { reason }, None) => {
            tracing::error!(target: "underlay", reason, "the message was dead-lettered");
        }
        (Outcome::DeadLettered { reason }, Some(error)) => {
            tracing::error!(
                target: "underlay",
                reason,
                error,
                "the message could not be dead-lettered; it will be delivered again",
            );
        }
    }
}

/// A task that ends with this.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The wait after the failure number `failures` (from 0): doubling from `min` up to `max`, with up to a quarter more
/// so that messages which failed together do not come back together.
pub(crate) fn backoff(min: Duration, max: Duration, failures: u32) -> Duration {
    let doubled = min.saturating_mul(2_u32.saturating_pow(failures.min(31)));
    doubled
        .mul_f64(rand::rng().random_range(1.0..1.25))
        .min(max)
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a value that is not a text")
}

#[cfg(test)]
mod tests;
