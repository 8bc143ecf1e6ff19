//! Messages as they are at Google: attributes of ours beside the user's, and what fits.
//!
//! Knows no connection.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use google_cloud_pubsub::model::Message as Wire;
use google_cloud_wkt::Timestamp;

use crate::{Error, ErrorKind, Result, gcp::PROVIDER, topic::Message};

/// What attributes of ours begin with. Handlers do not see them, and nobody else may publish them.
const OURS: &str = "underlay-";
/// What attributes that Google adds to dead letters begin with.
const GOOGLES: &str = "CloudPubSubDeadLetter";
/// The id of a message whose id is not Google's: its publisher's own, or the one of a released or given-up message.
const ID: &str = "underlay-id";
/// The one subscription that a released message is for.
const ONLY: &str = "underlay-only";
/// Why a dead letter was given up.
const REASON: &str = "underlay-reason";
/// After how many deliveries a dead letter was given up.
const ATTEMPTS: &str = "underlay-attempts";
/// Says that the ordering key is the empty text, which Google takes for none.
const EMPTY_KEY: &str = "underlay-empty-key";
/// Makes a message of one without body, key and attributes, which Google refuses.
const EMPTY: &str = "underlay-empty";

/// The most attributes of a message at Google, its own and ours among them.
const ATTRIBUTES: usize = 100;
/// How many of them are kept for Google and us.
const RESERVED_ATTRIBUTES: usize = 12;
const NAME_BYTES: usize = 256;
const VALUE_BYTES: usize = 1024;
const KEY_BYTES: usize = 1024;
/// The largest request that publishes.
const REQUEST_BYTES: usize = 10_000_000;
/// How many bytes of it are kept for our attributes and the request's own.
const RESERVED_BYTES: usize = 16_384;
/// The largest message: body, attributes and ordering key.
pub(super) const LARGEST: usize = REQUEST_BYTES - RESERVED_BYTES;

/// Checks what Google would refuse.
pub(super) fn check(topic: &str, message: &Message) -> Result<()> {
    let refuse = |kind, text: String| Err(Error::new(kind, PROVIDER, topic, text));
    let size = message.size();
    if size > LARGEST {
        let text = format!(
            "publish a message of {size} bytes: body, attributes and ordering key may have {LARGEST} together"
        );
        return refuse(ErrorKind::TooLarge, text);
    }
    let most = ATTRIBUTES - RESERVED_ATTRIBUTES;
    let count = message.attributes.len();
    if count > most {
        let text = format!("publish a message with {count} attributes: it may have {most}");
        return refuse(ErrorKind::TooLarge, text);
    }
    for (name, value) in &message.attributes {
        let (long, limit) = if name.len() > NAME_BYTES {
            ("name", NAME_BYTES)
        } else if value.len() > VALUE_BYTES {
            ("value", VALUE_BYTES)
        } else if name.is_empty() || name.starts_with("goog") || name.starts_with(OURS) {
            let text = format!(
                "publish a message with the attribute `{name}`: a name is not empty and begins neither with `goog` nor with `{OURS}`"
            );
            return refuse(ErrorKind::InvalidArgument, text);
        } else {
            continue;
        };
        let name: String = name.chars().take(64).collect();
        let text =
            format!("publish a message: the {long} of attribute `{name}` may have {limit} bytes");
        return refuse(ErrorKind::TooLarge, text);
    }
    let key = message.ordering_key.as_deref().unwrap_or_default();
    if key.len() > KEY_BYTES {
        let text = format!("publish a message: an ordering key may have {KEY_BYTES} bytes");
        return refuse(ErrorKind::TooLarge, text);
    }
    if message.delay.is_some() {
        let text = "publish a message with a delay: Google Pub/Sub has none; publish it through the outbox of a database (`publish_in`), which can wait on every broker";
        return refuse(ErrorKind::Unsupported, text.to_owned());
    }
    Ok(())
}

/// A message as Google takes it.
pub(super) fn outgoing(message: Message) -> Wire {
    let mut attributes = message.attributes;
    let key = match message.ordering_key {
        Some(key) if key.is_empty() => {
            attributes.insert(EMPTY_KEY.to_owned(), String::new());
            // Some key that is not empty; what a receiver sees is the attribute's word.
            EMPTY_KEY.to_owned()
        }
        key => key.unwrap_or_default(),
    };
    if let Some(id) = message.id {
        attributes.insert(ID.to_owned(), id.to_string());
    }
    if message.body.is_empty() && attributes.is_empty() {
        attributes.insert(EMPTY.to_owned(), String::new());
    }
    Wire::new()
        .set_data(message.body)
        .set_attributes(attributes)
        .set_ordering_key(key)
}

/// A released message: under its old id, and for one subscription only.
pub(super) fn released(message: Message, id: &str, subscription: &str) -> Wire {
    let mut wire = outgoing(message);
    wire.attributes.insert(ID.to_owned(), id.to_owned());
    wire.attributes
        .insert(ONLY.to_owned(), subscription.to_owned());
    wire
}

/// A message that was given up.
pub(super) fn given_up(message: Message, id: &str, attempts: u32, reason: &str) -> Wire {
    let mut wire = outgoing(message);
    let reason = &reason[..reason.floor_char_boundary(VALUE_BYTES)];
    for (name, value) in [
        (ID, id),
        (REASON, reason),
        (ATTEMPTS, &attempts.to_string()),
    ] {
        wire.attributes.insert(name.to_owned(), value.to_owned());
    }
    wire
}

/// What a message says beside its content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) id: String,
    pub(super) published_at: Option<SystemTime>,
    /// The one subscription that it is for.
    only: Option<String>,
    /// Why it was given up, and after how many deliveries.
    pub(super) reason: Option<String>,
    pub(super) attempts: Option<u32>,
}

impl Envelope {
    /// Whether it is for a subscription.
    pub(super) fn is_for(&self, subscription: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == subscription)
    }
}

/// A message from Google, and what it says of itself.
pub(super) fn incoming(wire: Wire) -> (Message, Envelope) {
    let mut attributes: BTreeMap<String, String> = wire.attributes.into_iter().collect();
    let mut ours = BTreeMap::new();
    attributes.retain(|name, value| {
        let is_ours = name.starts_with(OURS) || name.starts_with(GOOGLES);
        if is_ours {
            ours.insert(name.clone(), std::mem::take(value));
        }
        !is_ours
    });
    let ordering_key = if ours.contains_key(EMPTY_KEY) {
        Some(String::new())
    } else {
        Some(wire.ordering_key).filter(|key| !key.is_empty())
    };
    let googles_count = ours.remove("CloudPubSubDeadLetterSourceDeliveryCount");
    let envelope = Envelope {
        id: ours.remove(ID).unwrap_or(wire.message_id),
        published_at: wire.publish_time.and_then(system_time),
        only: ours.remove(ONLY),
        reason: ours.remove(REASON),
        attempts: ours
            .remove(ATTEMPTS)
            .or(googles_count)
            .and_then(|text| text.parse().ok()),
    };
    let message = Message {
        body: wire.data,
        attributes,
        ordering_key,
        delay: None,
        id: None,
    };
    (message, envelope)
}

fn system_time(time: Timestamp) -> Option<SystemTime> {
    let seconds = u64::try_from(time.seconds()).ok()?;
    let nanos = u32::try_from(time.nanos()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn message(body: &'static [u8], key: Option<&str>) -> Message {
        Message {
            body: Bytes::from_static(body),
            ordering_key: key.map(str::to_owned),
            ..Message::default()
        }
    }

    #[test]
    fn every_message_comes_back() {
        for message in [
            message(b"", None),
            message(b"\xff", Some("")),
            message(b"a", Some("k")),
        ] {
            let wire = outgoing(message.clone());
            assert!(
                !wire.data.is_empty() || !wire.attributes.is_empty(),
                "Google refuses it"
            );
            assert_eq!(incoming(wire).0, message);
            let (again, envelope) = incoming(released(message.clone(), "7", "one"));
            assert_eq!((again, &*envelope.id), (message.clone(), "7"));
            assert!(envelope.is_for("one") && !envelope.is_for("two"));
            let (letter, envelope) = incoming(given_up(message.clone(), "7", 3, &"ü".repeat(2000)));
            assert_eq!((letter, envelope.attempts), (message.clone(), Some(3)));
            assert_eq!(envelope.reason.as_deref(), Some(&*"ü".repeat(512)));
        }
    }

    #[test]
    fn limits() {
        let with = |name: &str, value: &str| Message {
            attributes: BTreeMap::from([(name.to_owned(), value.to_owned())]),
            ..Message::default()
        };
        let many = (0..89).map(|number| (format!("a{number}"), String::new()));
        let many = Message {
            attributes: many.collect(),
            ..Message::default()
        };
        let (long, key) = ("x".repeat(1025), "k".repeat(1025));
        for (message, kind, limit) in [
            (with("a", &long), ErrorKind::TooLarge, "1024"),
            (with(&long, ""), ErrorKind::TooLarge, "256"),
            (message(b"", Some(&key)), ErrorKind::TooLarge, "1024"),
            (many, ErrorKind::TooLarge, "88"),
            (
                with("underlay-id", ""),
                ErrorKind::InvalidArgument,
                "underlay-",
            ),
            (with("googclient", ""), ErrorKind::InvalidArgument, "goog"),
            (with("", ""), ErrorKind::InvalidArgument, "not empty"),
        ] {
            let error = check("t", &message).expect_err(limit);
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(limit), "{error}");
        }
        assert!(check("t", &with(&"n".repeat(256), &"v".repeat(1024))).is_ok());
    }
}
