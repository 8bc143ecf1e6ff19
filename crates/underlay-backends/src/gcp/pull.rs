//! Messages that are pulled: Google's stream, read into the queue.
//!
//! The client keeps Google's leases of all messages that came, for as long as this process lives. What receivers see
//! of that is in `queue.rs`.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use google_cloud_pubsub::{
    client::Subscriber,
    subscriber::{MessageStream, ShutdownBehavior, handler::Handler},
};
use tokio::{runtime::Handle as Runtime, sync::watch, task::JoinSet, time::timeout};

use crate::{
    Result,
    error::chain,
    gcp::{
        error, message,
        queue::{Delivery, Failure, Handle, Queue},
        receiving::Source,
    },
};

/// How many messages Google leases to this process at once, those that wait to come again among them.
pub(super) const OUTSTANDING: i64 = 1000;
/// How many bytes they may have together.
const OUTSTANDING_BYTES: i64 = 100 << 20;
/// How long Google may take to confirm an acknowledgement.
const CONFIRM: Duration = Duration::from_secs(30);
/// How long Google may take to hear what became of messages when the stream ends.
const FLUSH: Duration = Duration::from_secs(10);
/// Longer than anything is worked on: receivers' leases end by our own timers.
const LEASE: Duration = Duration::from_secs(365 * 24 * 3600);

/// A delivery of the stream.
pub(super) struct Pulled(Handler);

impl Handle for Pulled {
    async fn ack(self, resource: &str) -> Result<()> {
        match self.0 {
            Handler::ExactlyOnce(handler) => {
                match timeout(CONFIRM, handler.confirmed_ack()).await {
                    Ok(confirmed) => {
                        confirmed.map_err(|error| error::not_acknowledged(resource, error))
                    }
                    Err(_) => Err(error::not_confirmed(resource)),
                }
            }
            handler => {
                handler.ack();
                Ok(())
            }
        }
    }

    fn give_back(self) {
        self.0.nack();
    }
}

/// The stream of one subscription, which is open from the first receive on.
pub(super) struct Pull {
    subscriber: Subscriber,
    subscription: String,
    /// After how long Google delivers a dead process's messages to another one.
    lease: Duration,
    ordered: bool,
    queue: Arc<Queue<Pulled>>,
    running: Mutex<Option<Running>>,
}

struct Running {
    /// Aborted when dropped; the client then gives back what is leased.
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Pull {
    pub(super) fn new(
        subscriber: &Subscriber,
        subscription: &str,
        lease: Duration,
        ordered: bool,
        queue: &Arc<Queue<Pulled>>,
    ) -> Self {
        Self {
            subscriber: subscriber.clone(),
            subscription: subscription.to_owned(),
            lease,
            ordered,
            queue: Arc::clone(queue),
            running: Mutex::new(None),
        }
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Source for Pull {
    fn start(&self) -> Result<()> {
        let mut running = self.running();
        if self.queue.is_closed() {
            return Ok(());
        }
        if let Some(running) = &mut *running {
            // The stream ends by itself only when it has failed; the clock, never.
            if running.tasks.try_join_next().is_none() {
                return Ok(());
            }
        }
        self.queue.fail(None);
        let stream = self
            .subscriber
            .subscribe(&self.subscription)
            .set_max_lease(LEASE)
            .set_max_lease_extension(self.lease)
            .set_max_outstanding_messages(OUTSTANDING)
            .set_max_outstanding_bytes(OUTSTANDING_BYTES)
            .set_shutdown_behavior(ShutdownBehavior::NackImmediately)
            .build();
        let (stop, stopped) = watch::channel(false);
        let (queue, subscription) = (Arc::clone(&self.queue), self.subscription.clone());
        let ordered = self.ordered;
        let mut tasks = JoinSet::new();
        let runtime = Runtime::current();
        tasks.spawn_on(
            read(stream, queue, subscription, ordered, stopped),
            &runtime,
        );
        let queue = Arc::clone(&self.queue);
        tasks.spawn_on(async move { queue.keep_time().await }, &runtime);
        *running = Some(Running { tasks, stop });
        Ok(())
    }

    async fn stop(&self) {
        let running = {
            let mut running = self.running();
            // Under the lock, so that nobody starts it once more.
            self.queue.close();
            running.take()
        };
        let Some(mut running) = running else {
            return;
        };
        running.stop.send_replace(true);
        // The first that ends is the stream; what has not been told by then comes again when Google's lease ends.
        let _ = timeout(FLUSH, running.tasks.join_next()).await;
    }
}

/// Reads a stream until it fails for good or is stopped.
async fn read(
    mut stream: MessageStream,
    queue: Arc<Queue<Pulled>>,
    subscription: String,
    ordered: bool,
    mut stopped: watch::Receiver<bool>,
) {
    let ending = stream.shutdown_token();
    loop {
        let next = tokio::select! {
            next = stream.next() => next,
            // An error means that nobody can stop it any more: the subscription is gone.
            _ = stopped.wait_for(|stopped| *stopped) => break,
        };
        match next {
            Some(Ok((wire, handler))) => {
                let (message, envelope) = message::incoming(wire);
                if !envelope.is_for(&subscription) {
                    handler.ack();
                    continue;
                }
                let attempt = handler.delivery_attempt();
                queue.arrive(Delivery {
                    id: envelope.id,
                    key: message.ordering_key.clone().filter(|_| ordered),
                    attempt: attempt
                        .and_then(|it| u32::try_from(it).ok())
                        .filter(|it| *it > 0),
                    published_at: envelope.published_at.unwrap_or_else(SystemTime::now),
                    message,
                    handles: vec![Pulled(handler)],
                });
            }
            Some(Err(error)) => {
                let kind = error::class(&error);
                let text = format!("{} ({})", error::why(kind), chain(&error));
                queue.fail(Some(Failure { kind, text }));
                break;
            }
            None => break,
        }
    }
    // First the stream, or Google would deliver what is given back to it again.
    drop(stream);
    let _ = timeout(FLUSH, ending.shutdown()).await;
}
