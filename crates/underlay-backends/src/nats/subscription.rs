//! The receiving side: leases and their ends.
//!
//! How messages come from the server is in `pull.rs`, where given-up ones go in `dead_letters.rs`.

use std::{borrow::Cow, sync::Arc, time::Duration};

use async_nats::{Message, Subject, client::Request};
use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    Error, ErrorKind, Result,
    nats::{
        PROVIDER,
        dead_letters::DeadLetters,
        error::Classified as _,
        message::{self, Delivery},
        pull::{Batch, Puller},
    },
    topic::{DeadLetter, Receipt, Received, Subscription},
};

pub(super) struct NatsSubscription {
    pub(super) puller: Arc<Puller>,
    /// Acknowledging waits until the server has confirmed it.
    pub(super) exactly_once: bool,
    pub(super) dead_letters: DeadLetters,
}

impl NatsSubscription {
    fn error(&self, kind: ErrorKind, text: impl Into<Cow<'static, str>>) -> Error {
        Error::new(kind, PROVIDER, &self.puller.resource, text)
    }

    /// Sets the messages' leases and reads them; those that were released for another subscription are none.
    async fn leased(&self, mut batch: Batch, lease: Duration) -> Result<Vec<Received>> {
        let name = &self.puller.consumer.name;
        let is_other = |it: &mut Message| !message::is_for(it.headers.as_ref(), name);
        for other in batch.messages.extract_if(.., is_other) {
            if let Some(reply) = other.reply {
                self.say(reply, "+ACK".into(), "skip a message").await?;
            }
        }
        // Not confirmed, as the consumer's own lease is not, either.
        if lease != self.puller.consumer.ack_wait {
            let word = message::again_after(lease);
            for reply in batch.messages.iter().filter_map(|it| it.reply.clone()) {
                self.say(reply, word.clone(), "lease a message").await?;
            }
        }
        let messages = batch.take();
        Ok(messages.iter().filter_map(message::received).collect())
    }

    /// The delivery of a receipt of this subscription.
    fn delivery<'a>(&self, receipt: &'a str) -> Result<Delivery<'a>> {
        let consumer = &self.puller.consumer;
        Delivery::parse(receipt)
            .filter(|it| it.stream == consumer.stream && it.consumer == consumer.name)
            .ok_or_else(|| {
                let text = "the receipt is not one of this subscription's";
                self.error(ErrorKind::InvalidArgument, text)
            })
    }

    /// Tells the server what becomes of a delivery. It hears this before anything that is sent later.
    async fn say(&self, reply: Subject, what: Bytes, attempted: &str) -> Result<()> {
        let sent = self.puller.client.publish(reply, what).await;
        sent.map_err(|error| {
            let text = format!("{attempted}: the connection is closed");
            self.error(error.class(), text).with_source(error)
        })
    }

    /// Tells the server what becomes of a delivery, and waits until it knows.
    async fn tell(&self, receipt: &str, what: Bytes, attempted: &str) -> Result<()> {
        let request = Request::new().payload(what);
        let answer = self.puller.client.send_request(receipt.to_owned(), request);
        answer.await.map(drop).map_err(|error| {
            let kind = error.class();
            let why = match kind {
                ErrorKind::NotFound => "the consumer is gone",
                _ => "the server did not confirm it in time",
            };
            let text = format!("{attempted}: {why}");
            Error::new(kind, PROVIDER, &self.puller.resource, text).with_source(error)
        })
    }
}

#[async_trait]
impl Subscription for NatsSubscription {
    async fn receive(&self, max: usize, lease: Duration) -> Result<Vec<Received>> {
        if max == 0 || lease.is_zero() {
            let text = "receive no message, or with a lease of no time";
            return Err(self.error(ErrorKind::InvalidArgument, text));
        }
        loop {
            let batch = self.puller.receive(max).await?;
            let received = self.leased(batch, lease).await?;
            if !received.is_empty() {
                return Ok(received);
            }
        }
    }

    async fn ack(&self, receipt: &Receipt) -> Result<()> {
        self.delivery(&receipt.0)?;
        let ack = Bytes::from_static(b"+ACK");
        if self.exactly_once {
            return self.tell(&receipt.0, ack, "acknowledge").await;
        }
        self.say(receipt.0.as_str().into(), ack, "acknowledge")
            .await
    }

    async fn nack(&self, receipt: &Receipt, delay: Duration) -> Result<()> {
        self.delivery(&receipt.0)?;
        self.tell(
            &receipt.0,
            message::again_after(delay),
            "give a message back",
        )
        .await
    }

    async fn extend(&self, receipt: &Receipt, lease: Duration) -> Result<()> {
        self.delivery(&receipt.0)?;
        self.tell(&receipt.0, message::again_after(lease), "extend a lease")
            .await
    }

    async fn dead_letter(&self, receipt: &Receipt, reason: &str) -> Result<()> {
        let delivery = self.delivery(&receipt.0)?;
        self.dead_letters.bury(&delivery, reason).await?;
        // Ended before this is heard, the letter is there already and is not stored twice.
        self.tell(
            &receipt.0,
            Bytes::from_static(b"+TERM"),
            "give a message up",
        )
        .await
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        self.dead_letters.oldest(limit).await
    }

    async fn release(&self, id: &str) -> Result<bool> {
        self.dead_letters.release(id).await
    }

    async fn discard(&self, id: &str) -> Result<bool> {
        self.dead_letters.discard(id).await
    }
}
