//! `#[topic]`: typed messages that every subscription of the topic receives.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
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
    slot: Slot<Arc<dyn backend::Topic>>,
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
    /// [`ErrorKind::NotStarted`] before the application is started; otherwise why the message could not be encoded
    /// or stored. A message whose publishing failed may have been stored all the same.
    pub async fn publish(&self, message: &T) -> Result<String> {
        let encoded = self.encode(message)?;
        Ok(self.bound()?.publish(encoded).await?)
    }

    /// Publishes several messages, and returns their ids in the same order.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish); some of the messages may have been stored.
    pub async fn publish_batch<'a>(
        &self,
        messages: impl IntoIterator<Item = &'a T>,
    ) -> Result<Vec<String>> {
        let encoded = messages
            .into_iter()
            .map(|message| self.encode(message))
            .collect::<Result<_>>()?;
        Ok(self.bound()?.publish_batch(encoded).await?)
    }

    fn bound(&self) -> Result<&dyn backend::Topic> {
        self.slot
            .get()
            .map(|topic| &**topic)
            .ok_or_else(|| Error::not_started("topic", self.name))
    }

    fn encode(&self, message: &T) -> Result<backend::Message> {
        let body = serde_json::to_vec(message).map_err(|error| {
            Error::new(
                ErrorKind::InvalidArgument,
                format!("a message of topic `{}` could not be encoded", self.name),
            )
            .with_source(error)
        })?;
        let attributes = message.attributes();
        let ordering_key = self
            .ordered_by
            .and_then(|field| attributes.get(field).cloned());
        Ok(backend::Message {
            body: body.into(),
            attributes,
            ordering_key,
        })
    }
}

/// A topic, whatever its message type, as `bind` sees it.
#[doc(hidden)]
pub trait BindTopic: Send + Sync {
    fn bind(&'static self, topic: Arc<dyn backend::Topic>);
}

impl<T: 'static> BindTopic for Topic<T> {
    fn bind(&'static self, topic: Arc<dyn backend::Topic>) {
        self.slot.bind(topic);
    }
}
