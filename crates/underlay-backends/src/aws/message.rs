//! Messages as SNS and SQS have them: a text and message attributes, of which `underlay` is ours.
//!
//! Knows no client.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{id, topic::Message};

/// The largest message of a topic with the default `MaximumMessageSize`, and the largest batch.
pub(super) const DEFAULT_LIMIT: usize = 256 << 10;
/// What a message may not use of it, so that it fits with its id and as a dead letter.
pub(super) const RESERVED: usize = 8 << 10;
/// SQS takes no more attributes with raw delivery, of which one is ours.
const MAX_ATTRIBUTES: usize = 10;
/// How much of a reason is kept, as it is on the wire.
const MAX_REASON: usize = 4 << 10;
/// The body of a message without one; SNS wants at least a character, and no base64 begins so.
const EMPTY: &str = "=";

/// The attribute with what is ours.
const HEAD: &str = "underlay";
/// The attribute with all attributes of a message of which not all can be attributes.
pub(super) const ATTRIBUTES: &str = "underlay-attributes";
/// The type of every attribute.
pub(super) const STRING: &str = "String";

/// How long a delayed message is hidden at once. SQS hides one for twelve hours after its delivery.
const HOLD: Duration = Duration::from_secs(11 * 3600);
/// The longest delay: SQS keeps messages so long where it is not told otherwise.
pub(super) const MAX_DELAY: Duration = Duration::from_secs(4 * 24 * 3600);
/// More than the number of times that a delayed message is hidden.
pub(super) const MAX_HOLDS: u32 = 10;

/// What the attribute [`HEAD`] says of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) id: String,
    /// The ordering key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<String>,
    /// The text is base64 of the body.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) base64: bool,
    /// Before when the message is not to be delivered, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) not_before: Option<u64>,
    /// When it was published, where SQS no longer knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) published: Option<u64>,
    /// Why it is a dead letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) dead: Option<Death>,
}

/// How a message was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Death {
    pub(super) attempts: u32,
    pub(super) reason: String,
    /// In milliseconds since 1970.
    pub(super) at: u64,
}

impl Death {
    /// A reason is kept as far as there is room for it.
    pub(super) fn new(attempts: u32, reason: &str, at: SystemTime) -> Self {
        let mut size = 0;
        let kept = reason.chars().take_while(|character| {
            // As JSON it may be `\u0001`.
            size += match character {
                ' '..='~' if !matches!(character, '"' | '\\') => 1,
                '"' | '\\' | '\n' | '\r' | '\t' => 2,
                _ => 6,
            };
            size <= MAX_REASON
        });
        Self {
            attempts,
            reason: kept.collect(),
            at: id::millis(at),
        }
    }
}

/// A message as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outgoing {
    pub(super) id: String,
    pub(super) text: String,
    /// Names and values; all are strings.
    pub(super) attributes: Vec<(String, String)>,
    /// The size of text and attributes as Amazon counts.
    pub(super) size: usize,
    /// The size without what every message has.
    pub(super) own_size: usize,
}

impl Outgoing {
    /// A message that is published now.
    pub(super) fn published(id: String, message: &Message, now: SystemTime) -> Self {
        let head = Head {
            id,
            // A part of a millisecond counts as one, so that it is not early.
            not_before: message.delay.map(|it| id::millis(now + it) + 1),
            ..Head::default()
        };
        Self::new(head, message)
    }

    /// A message with what is to be said of it; body, attributes and key are taken from the message.
    pub(super) fn new(mut head: Head, message: &Message) -> Self {
        let bare = json(&Head {
            id: head.id.clone(),
            ..Head::default()
        });
        head.key.clone_from(&message.ordering_key);
        let text = std::str::from_utf8(&message.body)
            .ok()
            .filter(|it| is_text(it));
        head.base64 = text.is_none();
        let text = match text {
            Some(text) => text.to_owned(),
            None if message.body.is_empty() => EMPTY.to_owned(),
            None => BASE64.encode(&message.body),
        };
        let head_text = json(&head);
        let own_head = head_text.len() - bare.len();
        let mut attributes = vec![(HEAD.to_owned(), head_text)];
        let sendable = |(name, value): (&String, &String)| is_own_attribute(name) && is_text(value);
        if message.attributes.len() < MAX_ATTRIBUTES && message.attributes.iter().all(sendable) {
            let own = |(name, value): (&String, &String)| (name.clone(), value.clone());
            attributes.extend(message.attributes.iter().map(own));
        } else {
            attributes.push((ATTRIBUTES.to_owned(), json(&message.attributes)));
        }
        let size_of = |(name, value): &(String, String)| name.len() + STRING.len() + value.len();
        let own_size = text.len() + own_head + attributes[1..].iter().map(size_of).sum::<usize>();
        Self {
            id: head.id,
            size: text.len() + attributes.iter().map(size_of).sum::<usize>(),
            own_size,
            text,
            attributes,
        }
    }
}

/// A message as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Incoming {
    pub(super) head: Head,
    pub(super) message: Message,
}

/// SNS's JSON around a message, where a subscription was made without raw delivery.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope {
    r#type: String,
    message_id: String,
    #[serde(rename = "TopicArn")]
    _topic_arn: String,
    message: String,
    #[serde(default)]
    message_attributes: BTreeMap<String, EnvelopeAttribute>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EnvelopeAttribute {
    value: String,
}

impl Incoming {
    /// Reads a message of ours, or of another client: that one has SQS's id, or SNS's from the envelope, and its message
    /// group for a key.
    pub(super) fn read(
        mut text: String,
        mut attributes: BTreeMap<String, String>,
        sqs_id: &str,
        group: Option<&str>,
    ) -> Self {
        let mut foreign_id = sqs_id.to_owned();
        if !attributes.contains_key(HEAD)
            && let Ok(envelope) = serde_json::from_str::<Envelope>(&text)
            && envelope.r#type == "Notification"
        {
            text = envelope.message;
            foreign_id = envelope.message_id;
            let all = envelope.message_attributes.into_iter();
            attributes = all.map(|(name, it)| (name, it.value)).collect();
        }
        let head = attributes.remove(HEAD);
        let head = head.and_then(|it| serde_json::from_str(&it).ok());
        let head: Head = head.unwrap_or_else(|| Head {
            id: foreign_id,
            key: group.map(str::to_owned),
            ..Head::default()
        });
        if let Some(packed) = attributes.remove(ATTRIBUTES) {
            attributes.extend(serde_json::from_str::<BTreeMap<_, _>>(&packed).unwrap_or_default());
        }
        let body = if !head.base64 {
            text.into()
        } else if text == EMPTY {
            Bytes::new()
        } else {
            // What is no base64 is nobody's of us; it is shown as it is.
            BASE64
                .decode(&text)
                .map_or_else(|_| text.into(), Bytes::from)
        };
        let message = Message {
            body,
            attributes,
            ordering_key: head.key.clone(),
            delay: None,
            id: None,
        };
        Self { head, message }
    }

    /// For how long the message is to be hidden at once, if it is not to be delivered yet.
    pub(super) fn hold(&self, now: SystemTime) -> Option<Duration> {
        let rest = self.head.not_before?.checked_sub(id::millis(now))?;
        (rest > 0).then(|| Duration::from_millis(rest).min(HOLD))
    }

    /// Which delivery a handler sees, of those that SQS counts since the first one.
    pub(super) fn attempt(&self, receives: u32, first: u64) -> u32 {
        let early = self
            .head
            .not_before
            .unwrap_or_default()
            .saturating_sub(first);
        let hold = u64::try_from(HOLD.as_millis()).unwrap_or(u64::MAX);
        let holds = u32::try_from(early.div_ceil(hold)).unwrap_or(u32::MAX);
        receives.saturating_sub(holds).max(1)
    }
}

/// The message group of an ordering key: at most 128 letters, digits and marks, of each key another one.
pub(super) fn group(key: &str) -> String {
    let mut group = String::new();
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_./:=@+,~".contains(&byte) {
            group.push(char::from(byte));
        } else {
            group += &format!("%{byte:02x}");
        }
    }
    match group.len() {
        0 => "%".to_owned(),
        1..=128 => group,
        _ => format!("%sha256:{}", hex::encode(Sha256::digest(key))),
    }
}

/// Whether a text can be a body or an attribute's value: at least a character, none of which XML forbids.
pub(super) fn is_text(text: &str) -> bool {
    let is_allowed =
        |it| matches!(it, '\t' | '\n' | '\r' | ' '..) && !matches!(it, '\u{fffe}' | '\u{ffff}');
    !text.is_empty() && text.chars().all(is_allowed)
}

/// Whether an attribute of this name can be a message attribute beside ours.
pub(super) fn is_own_attribute(name: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let lower = name.to_ascii_lowercase();
    (1..=256).contains(&name.len())
        && name.bytes().all(is_fine)
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains("..")
        && !["aws.", "amazon.", HEAD]
            .iter()
            .any(|it| lower.starts_with(it))
}

/// A time of [`id::millis`].
pub(super) fn time(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis)
}

/// As JSON that is a text, too.
fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).expect("texts and numbers are always JSON");
    text.replace('\u{fffe}', "\\ufffe")
        .replace('\u{ffff}', "\\uffff")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &[u8], attributes: &[(&str, &str)], key: Option<&str>) -> Message {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Message {
            body: Bytes::copy_from_slice(body),
            attributes: attributes.iter().map(own).collect(),
            ordering_key: key.map(str::to_owned),
            delay: None,
            id: None,
        }
    }

    #[track_caller]
    fn check(message: &Message) -> Outgoing {
        let outgoing = Outgoing::published("id".to_owned(), message, SystemTime::now());
        assert!(outgoing.attributes.len() <= MAX_ATTRIBUTES);
        assert!(is_text(&outgoing.text), "{outgoing:?}");
        assert!(
            outgoing.attributes.iter().all(|(_, value)| is_text(value)),
            "{outgoing:?}"
        );
        let attributes = outgoing.attributes.iter().cloned().collect();
        let incoming = Incoming::read(outgoing.text.clone(), attributes, "sqs", Some("group"));
        assert_eq!((&*incoming.head.id, &incoming.message), ("id", message));
        outgoing
    }

    #[test]
    fn what_is_sent_is_what_is_received() {
        let plain = check(&message(
            b"{\"a\":1}",
            &[("country", "DE"), ("kind", "gr\u{fc}n")],
            Some("key \u{fc}/1"),
        ));
        assert_eq!(plain.text, "{\"a\":1}");
        assert_eq!(plain.attributes[1], ("country".to_owned(), "DE".to_owned()));
        for body in [
            &b""[..],
            b"=",
            b"\0\xff",
            b"\x01",
            "\u{ffff}".as_bytes(),
            b"====",
            b"a\r\nb",
        ] {
            check(&message(body, &[], None));
        }
        for name in [
            "",
            "a b",
            ".a",
            "a.",
            "a..b",
            "AWS.x",
            "amazon.y",
            "underlay",
            "underlay-attributes",
            "\u{fc}",
        ] {
            let packed = check(&message(b"x", &[(name, "1"), ("fine", "2")], Some("")));
            assert_eq!(packed.attributes.len(), 2);
        }
        for value in ["", "\0", "\u{fffe}", "\u{ffff}"] {
            check(&message(b"x", &[("name", value)], Some(value)));
        }
        let names: Vec<String> = (0..10).map(|it| it.to_string()).collect();
        let ten: Vec<(&str, &str)> = names.iter().map(|it| (it.as_str(), "1")).collect();
        assert_eq!(check(&message(b"x", &ten[..9], None)).attributes.len(), 10);
        assert_eq!(check(&message(b"x", &ten, None)).attributes.len(), 2);
    }

    #[test]
    fn sizes() {
        let plain = check(&message(b"12345", &[("name", "value")], None));
        assert_eq!(plain.own_size, 5 + 4 + 6 + 5);
        assert!(plain.size > plain.own_size && plain.size - plain.own_size < 100);
        assert_eq!(
            check(&message(&[0xff; 300], &[], None)).own_size,
            400 + ",\"base64\":true".len()
        );
        let death = Death::new(7, &"\0\u{10ffff}\"".repeat(10_000), SystemTime::now());
        assert!(
            json(&death).len() + 500 < RESERVED,
            "{}",
            json(&death).len()
        );
        assert!(death.reason.len() > 1000);
    }

    #[test]
    fn envelopes_and_foreign_messages() {
        let outgoing = Outgoing::published(
            "id".to_owned(),
            &message(b"\0", &[("a", "1")], None),
            SystemTime::now(),
        );
        let attributes: serde_json::Map<_, _> = outgoing
            .attributes
            .iter()
            .map(|(name, value)| {
                (
                    name.clone(),
                    serde_json::json!({ "Type": "String", "Value": value }),
                )
            })
            .collect();
        let envelope = |attributes: serde_json::Value| {
            serde_json::json!({
                "Type": "Notification", "MessageId": "sns", "TopicArn": "arn", "Message": outgoing.text, "MessageAttributes": attributes,
            })
            .to_string()
        };
        let read =
            |text: &str| Incoming::read(text.to_owned(), BTreeMap::new(), "sqs", Some("group"));
        let ours = read(&envelope(attributes.into()));
        assert_eq!(
            (&*ours.head.id, ours.message),
            ("id", message(b"\0", &[("a", "1")], None))
        );
        let theirs = read(&envelope(serde_json::json!({})));
        assert_eq!(
            (&*theirs.head.id, &theirs.message.body[..]),
            ("sns", outgoing.text.as_bytes())
        );
        for text in ["plain", "{}", "{\"Type\":\"Notification\"}"] {
            let foreign = read(text);
            assert_eq!(
                (&*foreign.head.id, foreign.message),
                ("sqs", message(text.as_bytes(), &[], Some("group")))
            );
        }
        // A message of ours whose body is an envelope stays what it is.
        check(&message(
            envelope(serde_json::json!({})).as_bytes(),
            &[],
            None,
        ));
    }

    #[test]
    fn delays() {
        let now = time(1_000_000);
        let delayed = Message {
            delay: Some(Duration::from_secs(24 * 3600)),
            ..message(b"x", &[], None)
        };
        let outgoing = Outgoing::published("id".to_owned(), &delayed, now);
        let attributes = outgoing.attributes.into_iter().collect();
        let incoming = Incoming::read(outgoing.text, attributes, "sqs", None);
        assert_eq!(incoming.hold(now), Some(HOLD));
        assert_eq!(
            incoming.hold(now + HOLD * 2),
            Some(Duration::from_millis(2 * 3600 * 1000 + 1))
        );
        assert_eq!(incoming.hold(now + HOLD * 3), None);
        // Hidden three times when it was first received at once, and once when it was late.
        assert_eq!(incoming.attempt(4, 1_000_000), 1);
        assert_eq!(incoming.attempt(5, 1_000_000), 2);
        assert_eq!(incoming.attempt(2, id::millis(now + HOLD * 2)), 1);
        assert_eq!(incoming.attempt(2, id::millis(now + HOLD * 3)), 2);
        assert!(MAX_DELAY.as_secs().div_ceil(HOLD.as_secs()) < u64::from(MAX_HOLDS));
    }

    #[test]
    fn groups() {
        assert_eq!(group("customer-1"), "customer-1");
        assert_eq!(group("key \u{fc}/1"), "key%20%c3%bc/1");
        assert_eq!(group(""), "%");
        let long = "x".repeat(129);
        assert_eq!(group(&long[1..]).len(), 128);
        assert!(group(&long).len() <= 128 && group(&long) != group(&long.replace('x', "y")));
    }
}
