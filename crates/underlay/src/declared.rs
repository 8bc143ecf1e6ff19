//! What the attributes' expansions ask of types while compiling, so that each mistake is one error with our words.
//!
//! Resource attributes put an uninhabited *marker* type beside the static: of the same name, but in the type
//! namespace, so that `orders::CART_EVENTS` in another attribute finds it, and an import brings it along. The
//! `Declared…` traits say what a marker stands for; the `…Static` traits, which types a static may have.
//! Nothing here exists at run time but the functions that lead from a marker to its static.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bucket::Bucket;
use crate::cache::{CacheCluster, CacheKey, CacheValue};
#[cfg(feature = "postgres")]
use crate::database::Database;
use crate::keyspace::{Keyspace, ListKeyspace, SetKeyspace, StructKeyspace};
use crate::secret::SecretValue;
use crate::topic::{Message, Topic};

/// The marker of a database.
#[cfg(feature = "postgres")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a database",
    label = "name a `#[database]` static"
)]
pub trait DeclaredDatabase {
    /// The declared name.
    const NAME: &'static str;

    /// The static.
    fn database() -> &'static Database;
}

/// The marker of a topic, or of a reference to one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a topic",
    label = "name a `#[topic]` static"
)]
pub trait DeclaredTopic {
    /// The declared name.
    const NAME: &'static str;
    /// The marker itself. Asking `Carries` of this and not of the marker, the compiler does not complain twice
    /// about something that is no topic.
    type Marker;
}

/// A topic's marker for its message type. Not an associated type, which could not be less visible than the marker.
#[diagnostic::on_unimplemented(
    message = "the topic `{Self}` does not carry `{T}`",
    label = "not the message type of `{Self}`"
)]
pub trait Carries<T> {
    /// Proof for the expansion.
    const CARRIES: () = ();

    /// The static.
    fn topic() -> &'static Topic<T>;
}

/// That a type is `Topic<T>`: what `Carries` is derived from, so that a static of a wrong type is told elsewhere.
#[diagnostic::on_unimplemented(
    message = "a `{Self}` does not carry `{T}`",
    label = "not the message type of `{Self}`"
)]
pub trait TopicOf<T> {
    /// The same.
    fn topic(&'static self) -> &'static Topic<T>;
}

#[diagnostic::do_not_recommend]
impl<T> TopicOf<T> for Topic<T> {
    fn topic(&'static self) -> &'static Topic<T> {
        self
    }
}

/// The marker of a bucket.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a bucket",
    label = "name a `#[bucket]` static"
)]
pub trait DeclaredBucket {
    /// The declared name.
    const NAME: &'static str;

    /// The static.
    fn bucket() -> &'static Bucket;
}

/// The marker of a cache cluster, or of a reference to one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a cache cluster",
    label = "name a `#[cache]` static"
)]
pub trait DeclaredCache {
    /// The declared name.
    const NAME: &'static str;

    /// The static.
    fn cache() -> &'static CacheCluster;
}

/// The types that a `#[database]` static may have.
#[cfg(feature = "postgres")]
#[diagnostic::on_unimplemented(
    message = "`#[database]` needs a static of type `Database`, found `{Self}`",
    label = "expected `Database`"
)]
pub trait DatabaseStatic {
    /// The type itself.
    type Handle;
}

#[cfg(feature = "postgres")]
#[diagnostic::do_not_recommend]
impl DatabaseStatic for Database {
    type Handle = Self;
}

/// The types that a `#[topic]` static may have.
#[diagnostic::on_unimplemented(
    message = "`#[topic]` needs a static of type `Topic<T>`, found `{Self}`",
    label = "expected `Topic<T>`"
)]
pub trait TopicStatic {
    /// The type itself.
    type Handle;
    /// What it carries.
    type Message: Message;
}

#[diagnostic::do_not_recommend]
impl<T: Message> TopicStatic for Topic<T> {
    type Handle = Self;
    type Message = T;
}

/// The types that a `#[bucket]` static may have.
#[diagnostic::on_unimplemented(
    message = "`#[bucket]` needs a static of type `Bucket`, found `{Self}`",
    label = "expected `Bucket`"
)]
pub trait BucketStatic {
    /// The type itself.
    type Handle;
}

#[diagnostic::do_not_recommend]
impl BucketStatic for Bucket {
    type Handle = Self;
}

/// The types that a `#[cache]` static may have.
#[diagnostic::on_unimplemented(
    message = "`#[cache]` needs a static of type `CacheCluster`, found `{Self}`",
    label = "expected `CacheCluster`"
)]
pub trait CacheStatic {
    /// The type itself.
    type Handle;
}

#[diagnostic::do_not_recommend]
impl CacheStatic for CacheCluster {
    type Handle = Self;
}

/// The types that a `#[keyspace]` static may have.
#[diagnostic::on_unimplemented(
    message = "`#[keyspace]` needs a static of a keyspace type, found `{Self}`",
    label = "expected a type such as `StringKeyspace<K>`, `IntListKeyspace<K>` or `StructKeyspace<K, V>`"
)]
pub trait KeyspaceStatic {
    /// The type itself.
    type Handle;
    /// Its keys.
    type Key: CacheKey;
}

#[diagnostic::do_not_recommend]
impl<K: CacheKey, V: CacheValue> KeyspaceStatic for Keyspace<K, V> {
    type Handle = Self;
    type Key = K;
}

#[diagnostic::do_not_recommend]
impl<K: CacheKey, V: CacheValue> KeyspaceStatic for ListKeyspace<K, V> {
    type Handle = Self;
    type Key = K;
}

#[diagnostic::do_not_recommend]
impl<K: CacheKey, V: CacheValue> KeyspaceStatic for SetKeyspace<K, V> {
    type Handle = Self;
    type Key = K;
}

#[diagnostic::do_not_recommend]
impl<K: CacheKey, V: Serialize + DeserializeOwned + Send> KeyspaceStatic for StructKeyspace<K, V> {
    type Handle = Self;
    type Key = K;
}

/// The types that a `#[secret]` static may have.
#[diagnostic::on_unimplemented(
    message = "`#[secret]` needs a static of type `Secret` or `Secret<T>`, found `{Self}`",
    label = "expected `Secret`"
)]
pub trait SecretStatic {
    /// The value's type.
    type Value;
}

#[diagnostic::do_not_recommend]
impl<T: std::str::FromStr + Send + Sync> SecretStatic for fn() -> SecretValue<T> {
    type Value = T;
}

/// What a subscription's or cron's handler returns.
#[diagnostic::on_unimplemented(
    message = "a handler returns `Result<(), E>`, found `{Self}`",
    label = "expected `Result<(), E>`, where `E` converts into `Box<dyn Error + Send + Sync>`"
)]
pub trait HandlerOutcome {
    /// The outcome with the error boxed.
    ///
    /// # Errors
    ///
    /// The handler's.
    fn into_outcome(self) -> Result<(), crate::subscription::HandlerError>;
}

#[diagnostic::do_not_recommend]
impl<E: Into<crate::subscription::HandlerError>> HandlerOutcome for Result<(), E> {
    fn into_outcome(self) -> Result<(), crate::subscription::HandlerError> {
        self.map_err(Into::into)
    }
}

/// Checks that the message of a topic has the attribute that orders it.
///
/// # Panics
///
/// While compiling, with the text of the error.
#[track_caller]
pub const fn check_ordered_by(attributes: &[&str], ordered_by: &str) {
    if contains(attributes, ordered_by) {
        return;
    }
    let text = Text::new()
        .push("`")
        .push(ordered_by)
        .push("` is not an attribute of the message: ");
    let text = match attributes {
        [] => text.push("it has none, so put `#[message(attribute)]` on the field"),
        [_] => text.push("its only attribute is ").push_list(attributes),
        _ => text.push("its attributes are ").push_list(attributes),
    };
    panic!("{}", text.as_str());
}

/// Checks that a key pattern names each field of the key type, and nothing else.
///
/// # Panics
///
/// While compiling, with the text of the error.
#[track_caller]
pub const fn check_key_pattern(parameters: &[&str], fields: &[&str]) {
    let mut text = Text::new();
    let mut i = 0;
    while i < parameters.len() {
        if !contains(fields, parameters[i]) {
            text = text
                .next_problem()
                .push("the key has no field `")
                .push(parameters[i])
                .push("`: ");
            text = match fields {
                [] => text.push("it has none"),
                [only] if equal(only, "key") => text.push("a basic key is named `:key`"),
                [_] => text.push("its only field is ").push_list(fields),
                _ => text.push("its fields are ").push_list(fields),
            };
        }
        i += 1;
    }
    let mut i = 0;
    while i < fields.len() {
        if !contains(parameters, fields[i]) {
            text = text
                .next_problem()
                .push("the pattern does not use the key's field `")
                .push(fields[i]);
            text = text
                .push("`: add `:")
                .push(fields[i])
                .push("`, or different keys are one");
        }
        i += 1;
    }
    if text.len > 0 {
        panic!("{}", text.as_str());
    }
}

const fn contains(list: &[&str], text: &str) -> bool {
    let mut i = 0;
    while i < list.len() {
        if equal(list[i], text) {
            return true;
        }
        i += 1;
    }
    false
}

const fn equal(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// A text that is put together while compiling; what does not fit is cut off.
struct Text {
    bytes: [u8; 1024],
    len: usize,
}

impl Text {
    const fn new() -> Self {
        Self {
            bytes: [0; 1024],
            len: 0,
        }
    }

    const fn push(mut self, text: &str) -> Self {
        if self.len + text.len() <= self.bytes.len() {
            let (_, free) = self.bytes.split_at_mut(self.len);
            let (place, _) = free.split_at_mut(text.len());
            place.copy_from_slice(text.as_bytes());
            self.len += text.len();
        }
        self
    }

    const fn next_problem(self) -> Self {
        if self.len > 0 { self.push("; ") } else { self }
    }

    const fn push_list(mut self, list: &[&str]) -> Self {
        let mut i = 0;
        while i < list.len() {
            self = self.push(if i == 0 { "`" } else { "`, `" }).push(list[i]);
            i += 1;
        }
        self.push("`")
    }

    const fn as_str(&self) -> &str {
        match std::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            Err(_) => "",
        }
    }
}
