//! What the attributes' expansions ask of types while compiling, so that each mistake is one error with our words.
//!
//! Resource attributes put an uninhabited *marker* type beside the static: of the same name, but in the type
//! namespace, so that `orders::CART_EVENTS` in another attribute finds it, and an import brings it along. The
//! `Declared…` traits say what a marker stands for.
//! Nothing here exists at run time but the functions that lead from a marker to its static.

use crate::bucket::Bucket;
use crate::cache::CacheCluster;
#[cfg(feature = "postgres")]
use crate::database::Database;
use crate::subscription::HandlerError;
use crate::topic::Topic;

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
    /// The topic's own marker. Asking `MessageOf` of this one, the compiler does not complain twice about something
    /// that is no topic.
    type Marker;
}

/// A topic's message type. Not an associated type of the marker, which could not be less visible than the marker.
#[diagnostic::on_unimplemented(
    message = "the topic `{Marker}` does not carry `{Self}`",
    label = "not the message type of `{Marker}`"
)]
pub trait MessageOf<Marker>: Sized {
    /// The message's attributes.
    const ATTRIBUTES: &'static [&'static str];
    /// The same as JSON.
    const ATTRIBUTES_JSON: &'static str;

    /// The static.
    fn topic() -> &'static Topic<Self>;

    /// Decodes a message for a handler.
    ///
    /// # Errors
    ///
    /// A payload that is no such message.
    fn decode(body: &bytes::Bytes) -> Result<Self, HandlerError>;
}

/// The marker of a bucket.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a bucket",
    label = "name a `#[bucket]` static"
)]
pub trait DeclaredBucket {
    /// The declared name.
    const NAME: &'static str;
    /// Whether anybody may read its objects by URL.
    const PUBLIC: bool;

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
    fn into_outcome(self) -> Result<(), HandlerError>;
}

#[diagnostic::do_not_recommend]
impl<E: Into<HandlerError>> HandlerOutcome for Result<(), E> {
    fn into_outcome(self) -> Result<(), HandlerError> {
        self.map_err(Into::into)
    }
}

/// Checks that a message has an attribute: the one that orders its topic, or one that a filter asks for.
///
/// # Panics
///
/// While compiling, with the text of the error.
#[track_caller]
pub const fn check_attribute(attributes: &[&str], attribute: &str) {
    if contains(attributes, attribute) {
        return;
    }
    let text = Text::new()
        .push("`")
        .push(attribute)
        .push("` is not an attribute of the message: ");
    let text = match attributes {
        [] => text.push("it has none, so put `#[message(attribute)]` on the field"),
        [_] => text.push("its only attribute is ").push_list(attributes),
        _ => text.push("its attributes are ").push_list(attributes),
    };
    panic!("{}", text.as_str());
}

/// Checks that a bucket is public, where its public URLs are asked for.
///
/// # Panics
///
/// While compiling, with the text of the error.
#[track_caller]
pub const fn check_public(is_public: bool, bucket: &str) {
    if !is_public {
        let text = Text::new().push("the bucket `").push(bucket);
        let text = text
            .push("` has no public URLs: declare it `#[bucket(\"")
            .push(bucket);
        panic!("{}", text.push("\", public)]`").as_str());
    }
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
