//! Given-up messages: a second stream per topic, with one subject per message under its subscription's.
//!
//! A letter's subject is `<topic>-dead.<subscription>.<id>.<place in the topic's stream>`. A message that is released has
//! a new place, so it can be given up again while the old letter is there.

use std::borrow::Cow;

use async_nats::jetstream::{
    Context, context::PublishErrorKind, message::StreamMessage, stream::Stream,
};

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
    /// The topic, which is its stream's subject.
    pub(super) topic: String,
    pub(super) subscription: String,
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
        let token = message::id_token(&id);
        let subject = format!("{}.{token}.{}", self.subject, delivery.name());
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
        let subject = format!("{}.>", self.subject);
        let mut letters = Vec::new();
        let mut next = 1;
        while letters.len() < limit {
            let Some(letter) = self.first(&subject, next).await? else {
                break;
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

    /// Publishes the message of a letter again, for this subscription only, and then removes the letter.
    pub(super) async fn release(&self, id: &str) -> Result<bool> {
        let Some(letter) = self.find(id).await? else {
            return Ok(false);
        };
        // The same for every attempt at releasing this letter, so the message is stored once.
        let once = format!(
            "{}.{}.{}",
            self.subject,
            letter.sequence,
            letter.time.unix_timestamp_nanos()
        );
        let content = message::message(Some(&letter.headers), letter.payload.clone());
        let headers = message::released_headers(&once, id, &content, &self.subscription);
        let sent = self
            .context
            .publish_with_headers(self.topic.clone(), headers, content.body)
            .await;
        let stored = match sent {
            Ok(stored) => stored.await,
            Err(error) => Err(error),
        };
        stored.map_err(|error| {
            self.failed(
                error,
                "release a dead letter: the topic's stream did not take it",
            )
        })?;
        // Another one may have removed it in between, and has published the same.
        self.remove(&letter, "release a dead letter").await?;
        Ok(true)
    }

    /// Removes a letter.
    pub(super) async fn discard(&self, id: &str) -> Result<bool> {
        match self.find(id).await? {
            Some(letter) => self.remove(&letter, "discard a dead letter").await,
            None => Ok(false),
        }
    }

    /// The oldest letter of a message with this id.
    async fn find(&self, id: &str) -> Result<Option<StreamMessage>> {
        let subject = format!("{}.{}.*", self.subject, message::id_token(id));
        let mut next = 1;
        while let Some(letter) = self.first(&subject, next).await? {
            if message::id(Some(&letter.headers), letter.sequence) == id {
                return Ok(Some(letter));
            }
            next = letter.sequence + 1;
        }
        Ok(None)
    }

    async fn first(&self, subject: &str, from: u64) -> Result<Option<StreamMessage>> {
        let letter = self
            .letters
            .get_first_raw_message_by_subject(subject, from)
            .await;
        match letter {
            Ok(letter) => Ok(Some(letter)),
            Err(error) if error.class() == ErrorKind::NotFound => Ok(None),
            Err(error) => {
                Err(self.failed(error, "read dead letters: their stream could not be read"))
            }
        }
    }

    /// False when it was removed before.
    async fn remove(&self, letter: &StreamMessage, attempted: &str) -> Result<bool> {
        let error = match self.letters.delete_message(letter.sequence).await {
            Ok(removed) => return Ok(removed),
            Err(error) => error,
        };
        // Servers say in different ways that there is none.
        match self.letters.get_raw_message(letter.sequence).await {
            Err(gone) if gone.class() == ErrorKind::NotFound => Ok(false),
            _ => {
                let text = format!("{attempted}: the letter could not be removed");
                Err(self.failed(error, text))
            }
        }
    }

    fn failed(&self, error: impl Classified, text: impl Into<Cow<'static, str>>) -> Error {
        Error::new(error.class(), PROVIDER, &self.resource, text).with_source(error)
    }
}
