//! Messages that Google pushes: the requests of one subscription, let into the queue and answered.
//!
//! Knows no HTTP server: who serves the route gives the header and the body, and gets a status.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use google_cloud_pubsub::model::Message as Wire;
use serde::Deserialize;
use tokio::{
    runtime::Handle as Runtime,
    sync::oneshot,
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::{
    Error, ErrorKind, Result,
    gcp::{
        PROVIDER, message,
        queue::{Delivery, Handle, Queue},
        receiving::Source,
        token::{Refusal, Verifier},
    },
    topic::Subscription,
};

/// The largest body of a request: a message of 10 MB in base64, with its attributes.
pub const MAX_PUSH_BYTES: usize = 15 << 20;
/// How many messages may wait for a receiver.
const WAITING: usize = 100;
/// Google's longest lease of a pushed message: after it, nobody waits for the answer.
const LONGEST: Duration = Duration::from_secs(600);

/// How Google pushes a subscription's messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushOptions {
    /// The audience that Google's tokens name.
    pub audience: String,
    /// The email of the service account in whose name Google pushes.
    pub service_account: String,
    /// Where the keys of Google's tokens are; `None` is Google's own address.
    pub keys: Option<String>,
    /// Where Google is to send messages, for a subscription that is created.
    pub endpoint: Option<String>,
}

/// The receiving side of a subscription whose messages Google pushes.
///
/// - A request waits until its message is acknowledged or given up (204), or given back (503). Google then delivers it
///   again as the subscription's retry policy says: the delay of [`nack`](Subscription::nack) is not kept.
/// - A message whose lease ends is given back, and so are all when the broker is closed.
/// - Without a receiver, or while a hundred messages wait for one, a request is answered at once (503).
/// - With ordering, Google itself sends the next message of a key after the one before was acknowledged.
pub struct PushSubscription {
    pub(super) name: String,
    pub(super) verifier: Verifier,
    pub(super) queue: Arc<Queue<Pushed>>,
    pub(super) source: Arc<Pushing>,
    pub(super) subscription: Arc<dyn Subscription>,
}

/// What Google sends.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Push {
    message: serde_json::Map<String, serde_json::Value>,
    subscription: String,
    delivery_attempt: Option<u32>,
}

/// A request that waits for its answer.
pub(super) struct Pushed(oneshot::Sender<bool>);

impl Handle for Pushed {
    async fn ack(self, resource: &str) -> Result<()> {
        self.0.send(true).map_err(|_| {
            let text = "acknowledge: Google no longer waits for the answer; the message is delivered again";
            Error::new(ErrorKind::Unavailable, PROVIDER, resource, text)
        })
    }

    fn give_back(self) {
        // Nobody may wait any more.
        let _ = self.0.send(false);
    }
}

/// Takes a message that nobody has received out of the queue when its request ends.
struct Waiting<'a> {
    queue: &'a Queue<Pushed>,
    id: String,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.queue.withdraw(&self.id);
    }
}

impl PushSubscription {
    /// Its receiving side.
    pub fn subscription(&self) -> Arc<dyn Subscription> {
        Arc::clone(&self.subscription)
    }

    /// Answers a `POST` with an `Authorization` header and a body: 204 when its message was acknowledged, another
    /// status when Google is to send it again. Cancelled, it takes back a message that nobody has received.
    pub async fn handle(&self, authorization: Option<&str>, body: &[u8]) -> u16 {
        if let Err(refusal) = self.verifier.check(authorization).await {
            let (status, reason) = match refusal {
                Refusal::Unauthorized(reason) => (401, reason),
                Refusal::Forbidden(reason) => (403, reason),
                Refusal::Unavailable(reason) => (503, reason),
            };
            tracing::warn!(target: "underlay", subscription = self.name, status, reason, "a push was refused");
            return status;
        }
        if body.len() > MAX_PUSH_BYTES {
            self.log(413, "the body is larger than any that Google sends");
            return 413;
        }
        let Some((wire, push)) = parse(body) else {
            self.log(
                400,
                "the body is not what Google sends; turn payload unwrapping off",
            );
            return 400;
        };
        if push.subscription != self.name {
            self.log(
                404,
                "it is of another subscription; correct the push endpoint of that one",
            );
            return 404;
        }
        self.deliver(wire, push.delivery_attempt).await
    }

    fn log(&self, status: u16, reason: &str) {
        tracing::warn!(target: "underlay", subscription = self.name, status, reason, "a push was refused");
    }

    async fn deliver(&self, wire: Wire, attempt: Option<u32>) -> u16 {
        let (message, envelope) = message::incoming(wire);
        if !envelope.is_for(&self.name) {
            return 204;
        }
        if !self.queue.is_attended(self.source.asked()) || self.queue.waiting() >= WAITING {
            return 503;
        }
        let (sender, answer) = oneshot::channel();
        let waiting = Waiting {
            queue: &self.queue,
            id: envelope.id.clone(),
        };
        self.queue.arrive(Delivery {
            id: envelope.id,
            key: None,
            attempt: attempt.filter(|attempt| *attempt > 0),
            published_at: envelope.published_at.unwrap_or_else(SystemTime::now),
            message,
            handles: vec![Pushed(sender)],
        });
        let answer = timeout(LONGEST, answer).await;
        drop(waiting);
        // An error means that the message was given back without a word.
        if let Ok(Ok(true)) = answer { 204 } else { 503 }
    }
}

fn parse(body: &[u8]) -> Option<(Wire, Push)> {
    let mut push: Push = serde_json::from_slice(body).ok()?;
    // Google writes some fields twice, in both spellings.
    for (twice, name) in [
        ("message_id", "messageId"),
        ("publish_time", "publishTime"),
        ("ordering_key", "orderingKey"),
    ] {
        if push.message.contains_key(name) {
            push.message.remove(twice);
        }
    }
    let wire = std::mem::take(&mut push.message);
    let wire: Wire = serde_json::from_value(wire.into()).ok()?;
    (!wire.message_id.is_empty()).then_some((wire, push))
}

/// Lets pushed messages come while somebody receives.
pub(super) struct Pushing {
    pub(super) queue: Arc<Queue<Pushed>>,
    /// For how long somebody counts as receiving who does not wait right now.
    pub(super) lease: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    asked: Option<Instant>,
    /// The clock of the queue; aborted when dropped.
    tasks: JoinSet<()>,
}

impl Pushing {
    pub(super) fn new(queue: &Arc<Queue<Pushed>>, lease: Duration) -> Self {
        Self {
            queue: Arc::clone(queue),
            lease,
            state: Mutex::default(),
        }
    }

    /// Whether somebody asked for messages not long ago.
    fn asked(&self) -> bool {
        let asked = self.state().asked;
        asked.is_some_and(|asked| asked.elapsed() < self.lease)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Source for Pushing {
    fn start(&self) -> Result<()> {
        let mut state = self.state();
        state.asked = Some(Instant::now());
        if state.tasks.is_empty() {
            let queue = Arc::clone(&self.queue);
            state
                .tasks
                .spawn_on(async move { queue.keep_time().await }, &Runtime::current());
        }
        Ok(())
    }

    async fn stop(&self) {
        self.queue.close();
        self.state().tasks.abort_all();
    }
}
