//! `#[topic]`: typed messages that every subscription of the topic receives.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use underlay_backends::topic as backend;

use crate::handle::Slot;
use crate::{Error, ErrorKind, Result};

/// A type that a topic carries. Derive it: `#[derive(Message, Serialize, Deserialize)]`.
///
/// A field marked `#[message(attribute)]` is also sent as a message attribute, for filtering and ordering.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be published to a topic",
    label = "this type is not a message",
    note = "add `#[derive(Message, Serialize, Deserialize)]` to `{Self}`"
)]
pub trait Message: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The fields that are attributes.
    const ATTRIBUTES: &'static [&'static str];
    /// [`ATTRIBUTES`](Self::ATTRIBUTES) as a JSON array, for the model.
    const ATTRIBUTES_JSON: &'static str;

    /// The attributes of this message, by field name.
    fn attributes(&self) -> BTreeMap<String, String>;

    #[doc(hidden)]
    fn __decode(body: &bytes::Bytes) -> std::result::Result<Self, crate::HandlerError> {
        crate::subscription::decode(body)
    }
}

/// A type whose values can be message attributes: texts, integers and `bool`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a message attribute",
    label = "attributes are texts, integers or `bool`"
)]
pub trait AttributeValue {
    /// The value as the text that is sent.
    fn to_attribute(&self) -> String;
}

macro_rules! attribute_values {
    ($($ty:ty)*) => {$(
        impl AttributeValue for $ty {
            fn to_attribute(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

attribute_values!(String bool i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

/// The id of a published message: what [`Topic::publish`] returns and every [`Delivery`](crate::Delivery) carries.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(String);

impl MessageId {
    pub(crate) fn new(id: String) -> Self {
        Self(id)
    }

    /// The id as the broker writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How one message is published.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use underlay::PublishOptions;
///
/// let tomorrow = PublishOptions { delay: Some(Duration::from_secs(24 * 3600)), ..PublishOptions::default() };
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublishOptions {
    /// Not to be delivered before so much time has passed. On an ordered topic, later messages of its key wait, too.
    pub delay: Option<Duration>,
    /// The key to order by, in place of the field that `ordered_by` names.
    pub ordering_key: Option<String>,
}

/// Whatever messages of a type can be published to: a [`Topic`], a reference to one, or a stand-in of a test.
///
/// # Example
///
/// ```
/// use underlay::Publish;
/// use underlay::prelude::*;
///
/// mod orders {
///     use underlay::prelude::*;
///     #[derive(Message, Serialize, Deserialize)]
///     pub struct OrderPlaced { pub order_id: i64 }
///     #[topic("order-placed")]
///     pub static ORDER_PLACED: Topic<OrderPlaced>;
/// }
/// use orders::{ORDER_PLACED, OrderPlaced};
///
/// #[reference(orders::ORDER_PLACED)]
/// static PLACED: TopicRef<OrderPlaced, Publisher>;
///
/// async fn notify(to: &impl Publish<OrderPlaced>) -> underlay::Result<()> {
///     to.publish(&OrderPlaced { order_id: 1 }).await?;
///     Ok(())
/// }
///
/// async fn both() -> underlay::Result<()> {
///     notify(&ORDER_PLACED).await?;
///     notify(&PLACED).await
/// }
/// # fn main() {}
/// ```
pub trait Publish<T: Message>: Send + Sync {
    /// Publishes a message; see [`Topic::publish_with`].
    ///
    /// # Errors
    ///
    /// As [`Topic::publish_with`].
    fn publish_with(
        &self,
        message: &T,
        options: PublishOptions,
    ) -> impl Future<Output = Result<MessageId>> + Send;

    /// Publishes a message; see [`Topic::publish`].
    ///
    /// # Errors
    ///
    /// As [`Topic::publish`].
    fn publish(&self, message: &T) -> impl Future<Output = Result<MessageId>> + Send {
        self.publish_with(message, PublishOptions::default())
    }
}

impl<T: Message> Publish<T> for Topic<T> {
    async fn publish_with(&self, message: &T, options: PublishOptions) -> Result<MessageId> {
        Self::publish_with(self, message, options).await
    }
}

/// A handle of a declared topic.
///
/// # Example
///
/// ```
/// use underlay::prelude::*;
///
/// #[derive(Message, Serialize, Deserialize)]
/// struct OrderPlaced {
///     #[message(attribute)]
///     order_id: i64,
/// }
///
/// #[topic("order-placed", ordered_by = order_id)]
/// static ORDER_PLACED: Topic<OrderPlaced>;
///
/// async fn announce(order_id: i64) -> underlay::Result<()> {
///     ORDER_PLACED.publish(&OrderPlaced { order_id }).await?;
///     Ok(())
/// }
/// # fn main() {}
/// ```
pub struct Topic<T> {
    name: &'static str,
    ordered_by: Option<&'static str>,
    slot: Slot<Bound>,
    message: PhantomData<fn(T)>,
}

impl<T> Topic<T> {
    #[doc(hidden)]
    pub const fn __new(name: &'static str, ordered_by: Option<&'static str>) -> Self {
        Self {
            name,
            ordered_by,
            slot: Slot::new(),
            message: PhantomData,
        }
    }
}

impl<T: Message> Topic<T> {
    /// The declared name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Publishes a message and returns its id, which every delivery of it carries.
    ///
    /// When this returns, the broker has stored the message for each subscription.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotStarted`] before the application is started; [`ErrorKind::InvalidArgument`] for a message that
    /// cannot be encoded or is larger than the broker takes; otherwise why it could not be stored. A message whose
    /// publishing failed may have been stored all the same.
    pub async fn publish(&self, message: &T) -> Result<MessageId> {
        self.publish_with(message, PublishOptions::default()).await
    }

    /// Publishes a message later, or under another ordering key.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish). [`ErrorKind::InvalidArgument`] for an ordering key on a topic that is not ordered,
    /// and for a delay on a broker that knows none.
    pub async fn publish_with(&self, message: &T, options: PublishOptions) -> Result<MessageId> {
        let encoded = self.encode(message, options)?;
        Ok(MessageId(self.bound()?.publish(encoded).await?))
    }

    /// Publishes several messages, and returns their ids in the same order.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish); some of the messages may have been stored.
    pub async fn publish_batch<'a>(
        &self,
        messages: impl IntoIterator<Item = &'a T>,
    ) -> Result<Vec<MessageId>> {
        let encoded = messages
            .into_iter()
            .map(|message| self.encode(message, PublishOptions::default()))
            .collect::<Result<_>>()?;
        let ids = self.bound()?.publish_batch(encoded).await?;
        Ok(ids.into_iter().map(MessageId).collect())
    }

    fn bound(&self) -> Result<&dyn backend::Topic> {
        self.slot
            .get()
            .map(|bound| &*bound.topic)
            .ok_or_else(|| Error::not_started("topic", self.name))
    }

    /// Refuses a message that the broker would refuse for its size, as far as that is known before it is asked.
    #[cfg(feature = "postgres")]
    pub(crate) fn check_size(&self, message: &backend::Message) -> Result<()> {
        let bound = self.slot.get();
        let bound = bound.ok_or_else(|| Error::not_started("topic", self.name))?;
        let size = message.size() as u64;
        match bound.max_message_bytes {
            Some(most) if size > most => {
                let name = self.name;
                let text = format!(
                    "publish a message of {size} bytes to topic `{name}`: its broker takes at most {most}"
                );
                Err(Error::new(ErrorKind::InvalidArgument, text))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn encode(&self, message: &T, options: PublishOptions) -> Result<backend::Message> {
        let PublishOptions {
            delay,
            ordering_key,
        } = options;
        if ordering_key.is_some() && self.ordered_by.is_none() {
            let text = format!(
                "the topic `{}` is not ordered, so a message has no ordering key: declare it \
                 `#[topic(\"{}\", ordered_by = …)]`",
                self.name, self.name
            );
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        }
        let body = serde_json::to_vec(message).map_err(|error| {
            Error::new(
                ErrorKind::InvalidArgument,
                format!("a message of topic `{}` could not be encoded", self.name),
            )
            .with_source(error)
        })?;
        let attributes = message.attributes();
        let by_field = || {
            self.ordered_by
                .and_then(|field| attributes.get(field).cloned())
        };
        Ok(backend::Message {
            ordering_key: ordering_key.or_else(by_field),
            body: body.into(),
            attributes,
            delay: delay.filter(|it| !it.is_zero()),
            id: None,
        })
    }
}

/// What a topic is bound to.
#[doc(hidden)]
pub struct Bound {
    pub(crate) topic: Arc<dyn backend::Topic>,
    /// The largest message that the broker takes, if there is one.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(dead_code, reason = "the outbox asks")
    )]
    pub(crate) max_message_bytes: Option<u64>,
}

/// A topic, whatever its message type, as `bind` sees it.
#[doc(hidden)]
pub trait BindTopic: Send + Sync {
    fn bind(&'static self, bound: Bound);
}

impl<T: 'static> BindTopic for Topic<T> {
    fn bind(&'static self, bound: Bound) {
        self.slot.bind(bound);
    }
}
