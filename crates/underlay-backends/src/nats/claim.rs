//! Which of several instances receives an ordered subscription: the one that holds its claim and renews it in time.
//!
//! A claim is the only message of its subject in a stream whose messages age quickly. It is stored if there is none, and
//! renewed if the last one is still the holder's own, both of which the server checks. So there is never more than one
//! holder, unless clocks run at different speeds.

use std::time::{Duration, Instant};

use async_nats::{
    HeaderMap,
    jetstream::{
        Context,
        context::{PublishError, PublishErrorKind},
        stream::Stream,
    },
};
use tokio::time::timeout;

use crate::{
    Error, ErrorKind, Result, id,
    nats::{PROVIDER, error::Classified as _, streams},
};

/// JetStream stores a message only if the last one of its subject has this sequence; 0 is none.
const EXPECTED_ON_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence";

/// The place of one subscription's claim.
pub(super) struct Claims {
    /// `topic/subscription`, for errors.
    resource: String,
    context: Context,
    stream: Stream,
    subject: String,
    /// How long a claim holds without being renewed.
    pub(super) time: Duration,
    /// What this instance writes.
    holder: String,
}

/// The right to receive until a time.
pub(super) struct Claim {
    sequence: u64,
    pub(super) until: Instant,
}

impl Claims {
    pub(super) fn new(
        context: Context,
        claims: streams::ClaimStream,
        topic: &str,
        subscription: &str,
    ) -> Self {
        Self {
            resource: format!("{topic}/{subscription}"),
            context,
            subject: format!("{}.{topic}.{subscription}", streams::CLAIMS),
            stream: claims.stream,
            time: claims.time,
            holder: id::text(id::fresh(std::time::SystemTime::now())),
        }
    }

    /// Takes the claim; `None` when somebody else has it.
    pub(super) async fn take(&self) -> Result<Option<Claim>> {
        self.write(0).await
    }

    /// Renews it; `None` when it is lost.
    pub(super) async fn renew(&self, claim: &Claim) -> Result<Option<Claim>> {
        let limit = claim.until.saturating_duration_since(Instant::now());
        let renewed = timeout(limit, async {
            if let Some(renewed) = self.write(claim.sequence).await? {
                return Ok(Some(renewed));
            }
            // An earlier renewal may have been stored without our hearing of it.
            let last = self.stream.get_last_raw_message_by_subject(&self.subject);
            match last.await {
                Ok(last) if last.payload == self.holder => self.write(last.sequence).await,
                Ok(_) => Ok(None),
                Err(error) if error.class() == ErrorKind::NotFound => Ok(None),
                Err(error) => {
                    let text = "receive messages: the claim to be the receiver could not be read";
                    Err(Error::new(error.class(), PROVIDER, &self.resource, text)
                        .with_source(error))
                }
            }
        });
        renewed.await.unwrap_or(Ok(None))
    }

    /// Lets another instance have it at once.
    pub(super) async fn give_up(&self, claim: Claim) {
        // Without this it ends a little later.
        let _ = self.stream.delete_message(claim.sequence).await;
    }

    async fn write(&self, expected: u64) -> Result<Option<Claim>> {
        // What was sent at this time is stored later, and ages from then on.
        let sent = Instant::now();
        let mut headers = HeaderMap::new();
        headers.insert(EXPECTED_ON_SUBJECT, expected.to_string());
        let holder = self.holder.clone().into();
        let sent_message = self
            .context
            .publish_with_headers(self.subject.clone(), headers, holder);
        let stored = match sent_message.await {
            Ok(stored) => stored.await,
            Err(error) => Err(error),
        };
        match stored {
            Ok(stored) => Ok(Some(Claim {
                sequence: stored.sequence,
                until: sent + self.time * 9 / 10,
            })),
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn failed(&self, error: PublishError) -> Error {
        let kind = error.class();
        let text = match kind {
            ErrorKind::NotFound => {
                "receive messages: the stream of the claims to be the receiver is gone"
            }
            _ => "receive messages: the claim to be the receiver could not be written",
        };
        Error::new(kind, PROVIDER, &self.resource, text).with_source(error)
    }
}
