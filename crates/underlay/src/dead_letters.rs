//! Messages that were given up: looked at, released and removed, by code, by the local server and by a job.

mod request;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use underlay_backends::topic::{self as backend, Subscription as Source};
use underlay_model::nearest::did_you_mean;

use crate::handle::Slot;
use crate::topic::{Message, MessageId, Topic};
use crate::{Error, ErrorKind, Result};

pub(crate) use self::request::{FORM, Of, Request, Which};

/// The receiving sides of all subscriptions, by topic and name.
pub(crate) type Sources = BTreeMap<(String, String), Arc<dyn Source>>;

/// How many letters are read at once where all are wanted.
const PAGE: usize = 100;

static SOURCES: Slot<Sources> = Slot::new();

/// Makes the subscriptions' dead letters reachable.
pub(crate) fn bind(sources: Sources) {
    SOURCES.bind(sources);
}

/// The subscriptions of the application that is started here, if one is.
pub(crate) fn bound() -> Option<&'static Sources> {
    SOURCES.get()
}

/// A message that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The message's id.
    pub id: MessageId,
    /// How often it was delivered.
    pub attempts: u32,
    /// Why it was given up: the last error with its causes.
    pub reason: String,
    /// When it was given up.
    pub failed_at: SystemTime,
    /// The message's attributes.
    pub attributes: BTreeMap<String, String>,
    /// The key that ordered it, if the topic is ordered.
    pub ordering_key: Option<String>,
    /// The message as it was published: JSON, unless somebody else published it.
    pub body: Bytes,
}

impl From<backend::DeadLetter> for DeadLetter {
    fn from(letter: backend::DeadLetter) -> Self {
        Self {
            id: MessageId::new(letter.id),
            attempts: letter.attempts,
            reason: letter.reason,
            failed_at: letter.failed_at,
            attributes: letter.message.attributes,
            ordering_key: letter.message.ordering_key,
            body: letter.message.body,
        }
    }
}

/// The dead letters of one subscription; see [`Topic::dead_letters`].
pub struct DeadLetters {
    source: Arc<dyn Source>,
}

/// How a letter ends.
#[derive(Clone, Copy)]
enum End {
    Release,
    Discard,
}

impl<T: Message> Topic<T> {
    /// The messages that one of the topic's subscriptions has given up.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotStarted`] before the application is started, [`ErrorKind::NotFound`] if the topic has no such
    /// subscription in this program.
    ///
    /// # Example
    ///
    /// ```no_run
    /// # use underlay::prelude::*;
    /// # #[derive(Message, Serialize, Deserialize)]
    /// # struct OrderPlaced { order_id: i64 }
    /// # #[topic("order-placed")]
    /// # static ORDER_PLACED: Topic<OrderPlaced>;
    /// async fn try_again_what_timed_out() -> underlay::Result<()> {
    ///     let letters = ORDER_PLACED.dead_letters("billing")?;
    ///     for letter in letters.list(100).await? {
    ///         if letter.reason.contains("timed out") {
    ///             letters.release(&letter.id).await?;
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// # fn main() {}
    /// ```
    pub fn dead_letters(&self, subscription: &str) -> Result<DeadLetters> {
        let sources = SOURCES.get();
        let sources = sources.ok_or_else(|| Error::not_started("topic", self.name()))?;
        DeadLetters::of(sources, self.name(), subscription)
    }
}

impl DeadLetters {
    /// Those of one subscription.
    ///
    /// # Errors
    ///
    /// There is no such subscription.
    pub(crate) fn of(sources: &Sources, topic: &str, subscription: &str) -> Result<Self> {
        let key = (topic.to_owned(), subscription.to_owned());
        match sources.get(&key) {
            Some(source) => Ok(Self {
                source: Arc::clone(source),
            }),
            None => {
                let wanted = format!("{topic}/{subscription}");
                let known: Vec<String> = sources
                    .keys()
                    .map(|(topic, subscription)| format!("{topic}/{subscription}"))
                    .collect();
                let near = did_you_mean(&wanted, known.iter().map(String::as_str));
                let hint = match (near.is_empty(), known.is_empty()) {
                    (false, _) => near,
                    (true, false) => format!("; there are: {}", known.join(", ")),
                    (true, true) => "; there is none".to_owned(),
                };
                let text = format!("no subscription `{wanted}` is declared{hint}");
                Err(Error::new(ErrorKind::NotFound, text))
            }
        }
    }

    /// The oldest `limit` letters, which stay.
    ///
    /// # Errors
    ///
    /// The broker could not be read.
    pub async fn list(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        let letters = self.source.dead_letters(limit).await?;
        Ok(letters.into_iter().map(DeadLetter::from).collect())
    }

    /// Delivers a letter again, to its subscription only and with attempts counted anew; false if there is none with
    /// this id.
    ///
    /// # Errors
    ///
    /// The broker did not take it; it is still a letter, or was released all the same.
    pub async fn release(&self, id: &MessageId) -> Result<bool> {
        Ok(self.source.release(id.as_str()).await?)
    }

    /// Delivers every letter again that is there now, and returns how many.
    ///
    /// # Errors
    ///
    /// As [`release`](Self::release), for one of them; those before it were released.
    pub async fn release_all(&self) -> Result<usize> {
        self.end_all(End::Release).await
    }

    /// Removes a letter for good; false if there is none with this id.
    ///
    /// # Errors
    ///
    /// The broker did not remove it.
    pub async fn discard(&self, id: &MessageId) -> Result<bool> {
        Ok(self.source.discard(id.as_str()).await?)
    }

    /// Removes every letter for good that is there now, and returns how many.
    ///
    /// # Errors
    ///
    /// As [`discard`](Self::discard), for one of them; those before it were removed.
    pub async fn discard_all(&self) -> Result<usize> {
        self.end_all(End::Discard).await
    }

    /// Ends letters until none is left that was not ended before: one that is released may be given up again meanwhile,
    /// and then comes last.
    async fn end_all(&self, end: End) -> Result<usize> {
        let mut seen = HashSet::new();
        let mut count = 0;
        loop {
            let page = self.list(PAGE).await?;
            let before = seen.len();
            for letter in page {
                if !seen.insert(letter.id.clone()) {
                    continue;
                }
                let ended = match end {
                    End::Release => self.release(&letter.id).await?,
                    End::Discard => self.discard(&letter.id).await?,
                };
                count += usize::from(ended);
            }
            if seen.len() == before {
                return Ok(count);
            }
        }
    }
}
