//! Given-up messages: a second stream per topic, with one subject per message under its subscription's.

use async_nats::jetstream::{Context, context::PublishErrorKind, stream::Stream};

use crate::{
    Error, ErrorKind, Result,
    nats::{
        PROVIDER,
        error::Classified,
        message::{self, Delivery},
    },
    topic::DeadLetter,
};

/// The dead letters of one subscription.
pub(super) struct DeadLetters {
    /// `topic/subscription`, for errors.
    pub(super) resource: String,
    pub(super) context: Context,
    /// The topic's stream.
    pub(super) messages: Stream,
    /// The topic's second stream.
    pub(super) letters: Stream,
    /// What all subjects of the subscription's letters begin with.
    pub(super) subject: String,
}

impl DeadLetters {
    /// Keeps the message of a delivery, with the reason. Done again, it changes nothing: there is one letter of each message.
    pub(super) async fn bury(&self, delivery: &Delivery<'_>, reason: &str) -> Result<()> {
        let message = self.messages.get_raw_message(delivery.sequence).await;
        let message = message.map_err(|error| {
            let text = match error.class() {
                ErrorKind::NotFound => "give a message up: it is no longer in its stream",
                _ => "give a message up: its stream could not be read",
            };
            self.failed(error, text)
        })?;
        let headers = Some(&message.headers);
        let id = message::id(headers, delivery.sequence);
        let content = message::message(headers, message.payload.clone());
        let headers = message::dead_headers(&id, &content, delivery.attempt, reason);
        let subject = format!("{}.{}", self.subject, delivery.name());
        let sent = self
            .context
            .publish_with_headers(subject, headers, message.payload)
            .await;
        let stored = match sent {
            Ok(stored) => stored.await,
            Err(error) => Err(error),
        };
        match stored {
            Err(error) if error.kind() != PublishErrorKind::WrongLastSequence => {
                let text = "give a message up: the stream of dead letters did not take it";
                Err(self.failed(error, text))
            }
            _ => Ok(()),
        }
    }

    /// The oldest `limit`, which stay.
    pub(super) async fn oldest(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        let subject = format!("{}.*", self.subject);
        let mut letters = Vec::new();
        let mut next = 1;
        while letters.len() < limit {
            let letter = self
                .letters
                .get_first_raw_message_by_subject(&subject, next)
                .await;
            let letter = match letter {
                Err(error) if error.class() == ErrorKind::NotFound => break,
                letter => letter.map_err(|error| {
                    self.failed(error, "read dead letters: their stream could not be read")
                })?,
            };
            next = letter.sequence + 1;
            let (attempts, reason) = message::death(&letter.headers);
            letters.push(DeadLetter {
                id: message::id(Some(&letter.headers), letter.sequence),
                attempts,
                reason,
                failed_at: letter.time.into(),
                message: message::message(Some(&letter.headers), letter.payload),
            });
        }
        Ok(letters)
    }

    fn failed(&self, error: impl Classified, text: &'static str) -> Error {
        Error::new(error.class(), PROVIDER, &self.resource, text).with_source(error)
    }
}
