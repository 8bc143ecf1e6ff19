//! Messages that are published with a delay: they wait in a third stream, `<topic>-delayed`, and whoever receives from the
//! topic moves those that are due to the topic's own.
//!
//! A message is moved under its id, so the topic's stream takes it once, however many move it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_nats::{
    Client, Message,
    jetstream::{Context, consumer::DeliverPolicy},
};
use tokio::time::sleep;

use crate::{
    ErrorKind, Result,
    nats::{
        message::{self, Delivery},
        pull::Puller,
        streams::{self, DUE, DurableConsumer, Role},
    },
    tasks::Tasks,
    topic::TopicOptions,
};

/// How many messages are looked at at once.
const BATCH: usize = 100;
/// The lease of a message while it is moved.
const MOVING: Duration = Duration::from_secs(30);
/// The longest time for which a message is put off at once.
const LONGEST: Duration = Duration::from_secs(3600);
/// How long to wait after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// The delayed messages of a topic.
pub(super) struct Delays {
    pub(super) topic: String,
    pub(super) client: Client,
    pub(super) context: Context,
    pub(super) puller: Arc<Puller>,
    pub(super) tasks: Arc<Tasks>,
}

/// The consumer of a topic's delayed messages; `None` when there is none and none is to be created.
pub(super) async fn ensure(
    context: &Context,
    topic: &str,
    provision: bool,
) -> Result<Option<DurableConsumer>> {
    let name = streams::delayed_name(topic);
    let options = TopicOptions::default();
    let found = async {
        let messages =
            streams::ensure_stream(context, &name, Role::Delayed, options, provision).await?;
        let consumer = DurableConsumer {
            messages,
            stream: name.clone(),
            name: DUE.to_owned(),
            ack_wait: MOVING,
        };
        consumer.ensure(DeliverPolicy::All, &name, provision).await
    };
    match found.await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

impl Delays {
    /// Moves what is due until the broker is closed.
    pub(super) async fn run(self) {
        while !self.tasks.is_closed() {
            if self.step().await.is_err() {
                // What was not moved comes again. Who publishes with a delay is told what is wrong.
                tokio::select! {
                    () = self.tasks.closed() => {}
                    () = sleep(RETRY) => {}
                }
            }
        }
    }

    /// Waits for messages; moves them, or puts them off for the rest of their delays.
    async fn step(&self) -> Result<()> {
        let mut batch = self.puller.receive(BATCH).await?;
        let mut moving = Vec::new();
        for message in batch.take() {
            let Some(reply) = message.reply.clone() else {
                continue;
            };
            let rest = rest(&message, SystemTime::now());
            if rest.is_zero() {
                moving.push((reply, self.send(&message).await));
            } else {
                let put_off = message::again_after(rest.min(LONGEST));
                // What the server does not hear comes again when its lease ends.
                let _ = self.client.publish(reply, put_off).await;
            }
        }
        for (reply, sent) in moving {
            let stored = match sent {
                Ok(stored) => stored.await,
                Err(error) => Err(error),
            };
            let word = match stored {
                Ok(_) => "+ACK".into(),
                Err(_) => message::again_after(RETRY),
            };
            let _ = self.client.publish(reply, word).await;
        }
        Ok(())
    }

    /// Sends a message to its topic.
    async fn send(
        &self,
        message: &Message,
    ) -> Result<
        async_nats::jetstream::context::PublishAckFuture,
        async_nats::jetstream::context::PublishError,
    > {
        let delivery = message.reply.as_deref().and_then(Delivery::parse);
        let sequence = delivery.map_or(0, |delivery| delivery.sequence);
        let headers = message.headers.as_ref();
        let id = message::id(headers, sequence);
        let content = message::message(headers, message.payload.clone());
        let headers = message::headers(&id, &content);
        self.context
            .publish_with_headers(self.topic.clone(), headers, content.body)
            .await
    }
}

/// How long a message is to be put off, by this machine's clock and the time at which the server took it.
fn rest(message: &Message, now: SystemTime) -> Duration {
    let delivery = message.reply.as_deref().and_then(Delivery::parse);
    let delay = message::delay(message.headers.as_ref());
    let (Some(delivery), Some(delay)) = (delivery, delay) else {
        return Duration::ZERO;
    };
    let due = delivery.published_at().checked_add(delay);
    // A time that cannot be said never comes.
    due.map_or(LONGEST, |due| due.duration_since(now).unwrap_or_default())
}
