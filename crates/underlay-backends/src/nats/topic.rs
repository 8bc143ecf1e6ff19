//! The publishing side: a message is published when JetStream has confirmed that it is stored.

use std::{sync::Arc, time::SystemTime};

use async_nats::{
    Client, HeaderMap,
    jetstream::{
        Context,
        context::{PublishAckFuture, PublishError, PublishErrorKind},
    },
};
use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    Error, ErrorKind, Result, id,
    nats::{PROVIDER, error::Classified, message, tasks::Tasks},
    topic::{Message, Topic},
};

/// How many messages of a batch are on their way at once.
const IN_FLIGHT: usize = 256;

pub(super) struct NatsTopic {
    /// The topic, its stream and its subject.
    pub(super) name: String,
    pub(super) client: Client,
    pub(super) context: Context,
    pub(super) tasks: Arc<Tasks>,
}

/// A message as it is sent; sent again it is stored once, as it keeps its id.
struct Outgoing {
    headers: HeaderMap,
    body: Bytes,
}

impl NatsTopic {
    async fn send(&self, outgoing: &Outgoing) -> Result<PublishAckFuture, PublishError> {
        let (headers, body) = (outgoing.headers.clone(), outgoing.body.clone());
        self.context
            .publish_with_headers(self.name.clone(), headers, body)
            .await
    }

    /// Waits until a message that was sent is stored; one that went astray is sent once more.
    async fn stored(
        &self,
        outgoing: &Outgoing,
        sent: Result<PublishAckFuture, PublishError>,
    ) -> Result<()> {
        let mut result = match sent {
            Ok(stored) => stored.await,
            Err(error) => Err(error),
        };
        let astray = |error: &PublishError| {
            use PublishErrorKind::{BrokenPipe, TimedOut};
            matches!(error.kind(), BrokenPipe | TimedOut)
        };
        if result.as_ref().err().is_some_and(astray) {
            result = match self.send(outgoing).await {
                Ok(stored) => stored.await,
                Err(error) => Err(error),
            };
        }
        result.map(drop).map_err(|error| {
            let kind = error.class();
            let text = match kind {
                ErrorKind::NotFound => {
                    "publish a message: no stream has this subject, or the server runs without JetStream; create it \
                     with `nats stream add`"
                }
                ErrorKind::Unavailable => {
                    "publish a message: the server did not confirm in time that it is stored"
                }
                ErrorKind::Full => "publish a message: the stream or its account is full",
                ErrorKind::TooLarge => {
                    "publish a message: it is larger than the stream or the server takes"
                }
                _ => "publish a message: the server refused it",
            };
            Error::new(kind, PROVIDER, &self.name, text).with_source(error)
        })
    }
}

#[async_trait]
impl Topic for NatsTopic {
    async fn publish(&self, message: Message) -> Result<String> {
        let mut ids = self.publish_batch(vec![message]).await?;
        ids.pop().ok_or_else(|| {
            let text = "publishing one message gave no id";
            Error::new(ErrorKind::Other, PROVIDER, &self.name, text)
        })
    }

    async fn publish_batch(&self, messages: Vec<Message>) -> Result<Vec<String>> {
        let max_payload = self.client.max_payload();
        if let Some((size, limit)) = messages
            .iter()
            .find_map(|message| message::too_large(message, max_payload))
        {
            let text = format!(
                "publish a message of {size} bytes: at most {limit} are possible, of the body with its attributes or of the \
                 attributes alone"
            );
            return Err(Error::new(ErrorKind::TooLarge, PROVIDER, &self.name, text));
        }
        if messages.iter().any(|message| message.delay.is_some()) {
            let text = "publish a message with a delay: NATS delivers at once";
            return Err(Error::new(
                ErrorKind::Unsupported,
                PROVIDER,
                &self.name,
                text,
            ));
        }
        if self.tasks.is_closed() {
            let text = "publish a message: the broker is closed";
            return Err(Error::new(
                ErrorKind::Unavailable,
                PROVIDER,
                &self.name,
                text,
            ));
        }
        let now = SystemTime::now();
        let (ids, outgoing): (Vec<String>, Vec<Outgoing>) = messages
            .into_iter()
            .map(|message| {
                let id = id::text(id::fresh(now));
                let headers = message::headers(&id, &message);
                let body = message.body;
                (id, Outgoing { headers, body })
            })
            .unzip();
        for outgoing in outgoing.chunks(IN_FLIGHT) {
            let mut sent = Vec::with_capacity(outgoing.len());
            for outgoing in outgoing {
                sent.push(self.send(outgoing).await);
            }
            for (outgoing, sent) in outgoing.iter().zip(sent) {
                self.stored(outgoing, sent).await?;
            }
        }
        Ok(ids)
    }
}
