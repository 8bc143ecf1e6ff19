//! The publishing side: a message is published when JetStream has confirmed that it is stored.

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use async_nats::{
    Client, Subject,
    jetstream::{
        Context,
        context::{PublishAckFuture, PublishError, PublishErrorKind},
    },
};
use async_trait::async_trait;

use crate::{
    Error, ErrorKind, Result, id,
    nats::{PROVIDER, error::Classified, message, streams},
    tasks::Tasks,
    topic::{Message, Topic},
};

/// How many messages of a batch are on their way at once.
const IN_FLIGHT: usize = 256;

pub(super) struct NatsTopic {
    /// The topic and its stream.
    pub(super) name: String,
    /// Of the same name.
    pub(super) subject: Subject,
    pub(super) client: Client,
    pub(super) context: Context,
    pub(super) tasks: Arc<Tasks>,
    pub(super) is_ordered: bool,
    /// There is a stream for messages that are not due.
    pub(super) has_delays: bool,
}

/// A message that is sent; sent again it is stored once, as it keeps its id.
struct Outgoing {
    id: String,
    message: Message,
}

impl NatsTopic {
    async fn send(&self, outgoing: &Outgoing) -> Result<PublishAckFuture, PublishError> {
        let Outgoing { id, message } = outgoing;
        let (subject, headers) = match message.delay {
            Some(delay) => (
                streams::delayed_name(&self.name).into(),
                message::delayed_headers(id, message, delay),
            ),
            None => (self.subject.clone(), message::headers(id, message)),
        };
        let body = message.body.clone();
        self.context
            .publish_with_headers(subject, headers, body)
            .await
    }

    /// Refuses what cannot be published.
    fn check(&self, message: &Message) -> Result<()> {
        let max_payload = self.client.max_payload();
        if let Some((size, limit)) = message::too_large(message, max_payload) {
            let text = format!(
                "publish a message of {size} bytes: at most {limit} are possible, of the body with its attributes or of the \
                 attributes alone"
            );
            return Err(Error::new(ErrorKind::TooLarge, PROVIDER, &self.name, text));
        }
        if !self.has_delays && message.delay.is_some() {
            return Err(streams::no_delays(&self.name));
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
        Ok(())
    }

    /// The message with its id, which it is given if it has none.
    fn outgoing(message: Message, now: SystemTime) -> Outgoing {
        let id = match &message.id {
            Some(id) => id.to_string(),
            None => id::text(id::fresh(now)),
        };
        Outgoing { id, message }
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
        self.check(&message)?;
        let outgoing = Self::outgoing(message, SystemTime::now());
        let sent = self.send(&outgoing).await;
        self.stored(&outgoing, sent).await?;
        Ok(outgoing.id)
    }

    async fn publish_batch(&self, messages: Vec<Message>) -> Result<Vec<String>> {
        for message in &messages {
            self.check(message)?;
        }
        let now = SystemTime::now();
        let mut ids = Vec::with_capacity(messages.len());
        // One after the other: messages of one key, so that one that is sent again is not behind the next.
        let mut waves: Vec<Vec<Outgoing>> = Vec::new();
        let mut next_waves: HashMap<String, usize> = HashMap::new();
        for message in messages {
            let key = message.ordering_key.clone().filter(|_| self.is_ordered);
            let wave = match key {
                Some(key) => {
                    let next = next_waves.entry(key).or_default();
                    std::mem::replace(next, *next + 1)
                }
                None => 0,
            };
            if wave == waves.len() {
                waves.push(Vec::new());
            }
            let outgoing = Self::outgoing(message, now);
            ids.push(outgoing.id.clone());
            waves[wave].push(outgoing);
        }
        for outgoing in waves.iter().flat_map(|wave| wave.chunks(IN_FLIGHT)) {
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
