//! The publishing side of a topic.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::future::join_all;
use google_cloud_pubsub::{
    client::{BasePublisher, Publisher},
    model::Message as Wire,
};
use tokio::time::{Instant, timeout_at};

use crate::{
    Error, ErrorKind, Result,
    gcp::{PROVIDER, error, message},
    topic::{Message, Topic},
};

/// How long Google may take to store a message. Longer than the client tries by itself.
const STORE: Duration = Duration::from_secs(60);
/// How long the client waits for more messages before it sends those that it has.
const GATHER: Duration = Duration::from_millis(1);

/// A topic that is published to.
pub(super) struct GcpTopic {
    name: String,
    publisher: Publisher,
    closed: Arc<AtomicBool>,
}

impl GcpTopic {
    pub(super) fn new(name: &str, client: &BasePublisher, closed: &Arc<AtomicBool>) -> Self {
        let publisher = client.publisher(name).set_delay_threshold(GATHER).build();
        Self {
            name: name.to_owned(),
            publisher,
            closed: Arc::clone(closed),
        }
    }

    /// Sends messages in their order and waits until all are stored.
    pub(super) async fn send(&self, wires: Vec<Wire>) -> Result<Vec<String>> {
        if self.closed.load(Ordering::Relaxed) {
            let text = "publish a message: the broker is closed";
            return Err(Error::new(
                ErrorKind::Unavailable,
                PROVIDER,
                &self.name,
                text,
            ));
        }
        let deadline = Instant::now() + STORE;
        let sent = wires.into_iter().map(|wire| {
            let key = wire.ordering_key.clone();
            let stored = self.publisher.publish(wire);
            async move { (key, timeout_at(deadline, stored).await) }
        });
        // All are on their way in their order before the first is waited for.
        let sent: Vec<_> = sent.collect();
        let (mut ids, mut failure) = (Vec::new(), None);
        for (key, stored) in join_all(sent).await {
            match stored {
                Ok(Ok(id)) => ids.push(id),
                Ok(Err(error)) => {
                    // What was sent after it with its key has failed, too; the next caller may try.
                    self.publisher.resume_publish(key);
                    failure.get_or_insert_with(|| error::not_published(&self.name, error));
                }
                Err(_) => {
                    let text =
                        "publish a message: Google did not confirm in time that it is stored";
                    failure.get_or_insert_with(|| {
                        Error::new(ErrorKind::Unavailable, PROVIDER, &self.name, text)
                    });
                }
            }
        }
        failure.map_or(Ok(ids), Err)
    }
}

#[async_trait]
impl Topic for GcpTopic {
    async fn publish(&self, message: Message) -> Result<String> {
        let mut ids = self.publish_batch(vec![message]).await?;
        ids.pop().ok_or_else(|| {
            let text = "publish a message: Google answered without an id";
            Error::new(ErrorKind::Other, PROVIDER, &self.name, text)
        })
    }

    async fn publish_batch(&self, messages: Vec<Message>) -> Result<Vec<String>> {
        for message in &messages {
            message::check(&self.name, message)?;
        }
        let own_ids: Vec<_> = messages.iter().map(|it| it.id).collect();
        let messages = messages.into_iter().map(message::outgoing).collect();
        let ids = self.send(messages).await?;
        let ids = ids.into_iter().zip(own_ids);
        Ok(ids
            .map(|(googles, own)| own.map_or(googles, |it| it.to_string()))
            .collect())
    }
}
