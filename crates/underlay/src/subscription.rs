//! `#[subscription]`: what a handler is given, and how any handler becomes one function over bytes.
//!
//! The loop that receives and retries is in `consume.rs`.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::SystemTime;

use bytes::Bytes;
use tokio::time::Instant;

use crate::topic::{Message, MessageId};
use crate::{Error, ErrorKind};

/// One delivery of a message: what a handler may know besides the message itself.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The id that publishing returned.
    pub id: MessageId,
    /// Which delivery of this message to this subscription it is, from 1.
    pub attempt: u32,
    /// When the broker took the message.
    pub published_at: SystemTime,
    /// The message's attributes.
    pub attributes: BTreeMap<String, String>,
    /// The key that orders it, if the topic is ordered.
    pub ordering_key: Option<String>,
    /// When the handler is given up and the message delivered again: after the subscription's `ack_deadline`.
    pub deadline: Instant,
    /// What [`tx`](Self::tx) lends.
    #[cfg(feature = "postgres")]
    pub(crate) transaction: Option<crate::idempotence::Shared>,
}

/// Why a handler failed, whatever its own error type is.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

/// What a handler's call comes to.
pub type HandlerFuture = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>>;

/// A subscription's handler as the inventory holds it: from an encoded message to its outcome.
pub type Handle = fn(Bytes, Delivery) -> HandlerFuture;

/// Decodes a message for a handler.
///
/// # Errors
///
/// [`ErrorKind::Unrecoverable`]: a payload that does not decode now will not decode later.
pub(crate) fn decode<T: Message>(body: &Bytes) -> Result<T, HandlerError> {
    serde_json::from_slice(body).map_err(|error| {
        Error::new(
            ErrorKind::Unrecoverable,
            format!("the payload is not a `{}`", std::any::type_name::<T>()),
        )
        .with_source(error)
        .into()
    })
}
