//! Messages as NATS has them: headers, their size, and what an acknowledgement's subject says of a delivery.
//!
//! Knows no connection.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_nats::HeaderMap;
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::topic::{Message, Receipt, Received};

/// JetStream's header for a message's id; a message that is sent twice within two minutes is stored once.
const ID: &str = "Nats-Msg-Id";
const ATTRIBUTE: &str = "Underlay-Attribute-";
const ORDERING_KEY: &str = "Underlay-Ordering-Key";
const ATTEMPTS: &str = "Underlay-Dead-Attempts";
/// The id of a message that the server knows by another one, or by none.
const ORIGINAL_ID: &str = "Underlay-Id";
/// The one subscription that a released message is for.
const RELEASED_TO: &str = "Underlay-Released-To";
/// After how many milliseconds a delayed message is to be delivered.
const DELAY: &str = "Underlay-Delay";
const REASON: &str = "Underlay-Dead-Reason";
/// JetStream stores a message only if its subject has this many before it.
const EXPECTED_ON_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence";
/// All but what NATS keeps in a header's name and value as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/')
    .remove(b'+')
    .remove(b'=')
    .remove(b'@');

/// What a message may not use of the server's `max_payload`, so that it fits with its id and as a dead letter.
pub(super) const RESERVED: usize = 8 << 10;
/// JetStream's own limit on the headers of one message.
const MAX_HEADERS: usize = u16::MAX as usize;
/// How much of a reason is kept, as it is on the wire.
const MAX_REASON: usize = 4 << 10;

/// The headers of a message.
pub(super) fn headers(id: &str, message: &Message) -> HeaderMap {
    let mut headers = own_headers(message);
    headers.insert(ID, id);
    headers
}

fn own_headers(message: &Message) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &message.attributes {
        headers.insert(format!("{ATTRIBUTE}{}", escape(name)), escape(value));
    }
    if let Some(key) = &message.ordering_key {
        headers.insert(ORDERING_KEY, escape(key));
    }
    headers
}

/// The bytes by which a message is above what a server with this `max_payload` takes, and the limit.
pub(super) fn too_large(message: &Message, max_payload: usize) -> Option<(usize, usize)> {
    let header = |name: usize, value: &str| name + escaped_len(value) + ": \r\n".len();
    let attributes = message
        .attributes
        .iter()
        .map(|(name, value)| header(ATTRIBUTE.len() + escaped_len(name), value));
    let key = message.ordering_key.as_deref();
    let headers: usize =
        attributes.sum::<usize>() + key.map_or(0, |key| header(ORDERING_KEY.len(), key));
    let limits = [
        (headers, MAX_HEADERS - RESERVED),
        (
            headers + message.body.len(),
            max_payload.saturating_sub(RESERVED),
        ),
    ];
    limits.into_iter().find(|(size, limit)| size > limit)
}

/// The message of headers and body.
pub(super) fn message(headers: Option<&HeaderMap>, body: Bytes) -> Message {
    let mut attributes = BTreeMap::new();
    for (name, values) in headers.into_iter().flat_map(HeaderMap::iter) {
        let name: &str = name.as_ref();
        if let (Some(name), Some(value)) = (name.strip_prefix(ATTRIBUTE), values.last()) {
            attributes.insert(unescape(name), unescape(value.as_str()));
        }
    }
    Message {
        body,
        attributes,
        ordering_key: ordering_key(headers),
        delay: None,
        id: None,
    }
}

pub(super) fn ordering_key(headers: Option<&HeaderMap>) -> Option<String> {
    text(headers, ORDERING_KEY).map(unescape)
}

/// A delivery as callers get it; `None` when it is none.
pub(super) fn received(message: &async_nats::Message) -> Option<Received> {
    let receipt = message.reply.as_deref()?;
    let delivery = Delivery::parse(receipt)?;
    let headers = message.headers.as_ref();
    Some(Received {
        id: id(headers, delivery.sequence),
        attempt: delivery.attempt,
        published_at: delivery.published_at(),
        message: self::message(headers, message.payload.clone()),
        receipt: Receipt(receipt.to_owned()),
    })
}

/// The message's id; another client's message without one has its place in the stream.
pub(super) fn id(headers: Option<&HeaderMap>, sequence: u64) -> String {
    let original = text(headers, ORIGINAL_ID).map(unescape);
    original
        .or_else(|| text(headers, ID).map(str::to_owned))
        .filter(|id| !id.is_empty())
        .unwrap_or_else(|| sequence.to_string())
}

/// The headers of a message that is sent again for one subscription; `once` is its id for the server.
pub(super) fn released_headers(
    once: &str,
    id: &str,
    message: &Message,
    subscription: &str,
) -> HeaderMap {
    let mut headers = headers(once, message);
    headers.insert(ORIGINAL_ID, escape(id));
    headers.insert(RELEASED_TO, subscription);
    headers
}

/// The headers of a message that is to be delivered after a delay.
pub(super) fn delayed_headers(id: &str, message: &Message, delay: Duration) -> HeaderMap {
    let mut headers = headers(id, message);
    // Never too early.
    let millis = delay.as_millis() + u128::from(!delay.subsec_nanos().is_multiple_of(1_000_000));
    headers.insert(DELAY, millis.to_string());
    headers
}

/// The delay of a message, if it has any.
pub(super) fn delay(headers: Option<&HeaderMap>) -> Option<Duration> {
    let millis = text(headers, DELAY)?.parse().ok()?;
    Some(Duration::from_millis(millis))
}

/// Whether a message is for this subscription: a released one is for the one that gave it up.
pub(super) fn is_for(headers: Option<&HeaderMap>, subscription: &str) -> bool {
    text(headers, RELEASED_TO).is_none_or(|released| released == subscription)
}

/// An id as a part of a subject; long ones are cut.
pub(super) fn id_token(id: &str) -> String {
    let mut token = String::from("i");
    for byte in id.bytes().take(100) {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            token.push(char::from(byte));
        } else {
            token += &format!("={byte:02x}");
        }
    }
    token
}

/// The headers of a dead letter. It is stored once, however often it is sent.
pub(super) fn dead_headers(id: &str, message: &Message, attempts: u32, reason: &str) -> HeaderMap {
    let mut headers = own_headers(message);
    // Not the server's own: a message may die, be released and die again within its window for duplicates.
    headers.insert(ORIGINAL_ID, escape(id));
    headers.insert(ATTEMPTS, attempts.to_string());
    let mut kept = String::new();
    for character in reason.chars() {
        let escaped = escape(character.encode_utf8(&mut [0; 4]));
        if kept.len() + escaped.len() > MAX_REASON {
            break;
        }
        kept += &escaped;
    }
    headers.insert(REASON, kept);
    headers.insert(EXPECTED_ON_SUBJECT, "0");
    headers
}

/// A dead letter's number of attempts and its reason.
pub(super) fn death(headers: &HeaderMap) -> (u32, String) {
    let attempts = text(Some(headers), ATTEMPTS).and_then(|text| text.parse().ok());
    let reason = text(Some(headers), REASON).map(unescape);
    (attempts.unwrap_or_default(), reason.unwrap_or_default())
}

fn text<'a>(headers: Option<&'a HeaderMap>, name: &'static str) -> Option<&'a str> {
    Some(headers?.get_last(name)?.as_str())
}

/// How long [`escape`]'s result is.
fn escaped_len(text: &str) -> usize {
    utf8_percent_encode(text, ENCODED).map(str::len).sum()
}

/// A text as a header's name or value can hold it.
fn escape(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// The text of [`escape`]'s, or of other percent-encoding; what cannot be a result of it is taken as it is.
pub(super) fn unescape(text: &str) -> String {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map_or_else(|_| text.to_owned(), Cow::into_owned)
}

/// What the subject says to which a delivery is acknowledged.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Delivery<'a> {
    pub(super) stream: &'a str,
    pub(super) consumer: &'a str,
    pub(super) attempt: u32,
    pub(super) sequence: u64,
    /// Counts the deliveries of the consumer.
    pub(super) number: u64,
    published: u64,
}

/// A message's place in its stream, which no other has, also after the stream was made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Position {
    pub(super) sequence: u64,
    pub(super) published: u64,
}

impl<'a> Delivery<'a> {
    /// Reads `$JS.ACK.<stream>.<consumer>.<attempt>.<sequence>.<delivery>.<time>.<pending>`; newer servers have a domain
    /// and an account before the stream, and more at the end.
    pub(super) fn parse(subject: &'a str) -> Option<Self> {
        let mut tokens = [""; 9];
        let mut count = 0;
        for (token, text) in tokens
            .iter_mut()
            .zip(subject.strip_prefix("$JS.ACK.")?.split('.'))
        {
            *token = text;
            count += 1;
        }
        let tokens = match count {
            7 => &tokens[..],
            9 => &tokens[2..],
            _ => return None,
        };
        Some(Self {
            stream: tokens[0],
            consumer: tokens[1],
            attempt: tokens[2].parse().ok()?,
            sequence: tokens[3].parse().ok()?,
            number: tokens[4].parse().ok()?,
            published: tokens[5].parse().ok()?,
        })
    }

    /// When the server took the message.
    pub(super) fn published_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.published)
    }

    pub(super) fn position(&self) -> Position {
        Position {
            sequence: self.sequence,
            published: self.published,
        }
    }

    /// Names the message for ever, also after its stream was made anew.
    pub(super) fn name(&self) -> String {
        format!("{}-{}", self.sequence, self.published)
    }
}

/// What gives a delivery back after a time. Until then it can be acknowledged, so it is a lease of this length, too.
pub(super) fn again_after(time: Duration) -> Bytes {
    if time.is_zero() {
        return Bytes::from_static(b"-NAK");
    }
    format!("-NAK {{\"delay\":{}}}", nanos(time)).into()
}

/// A time as JetStream writes it.
pub(super) fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_survives() {
        for text in [
            "",
            " ",
            "a b",
            "%",
            "%4",
            "%zz",
            "ü\r\n: \0",
            "100%25",
            "a/b=c",
        ] {
            let escaped = escape(text);
            assert!(escaped.bytes().all(|byte| byte.is_ascii_graphic()));
            assert!(!escaped.contains(':'));
            assert_eq!(unescape(&escaped), text);
            assert_eq!(escaped_len(text), escaped.len());
        }
        // What others wrote is taken as it is.
        for foreign in ["100%", "%zz", "%ff", "a%"] {
            assert_eq!(unescape(foreign), foreign);
        }
    }

    #[test]
    fn deliveries() {
        let old = Delivery::parse("$JS.ACK.orders.mail.3.100.7.1790230470084404000.42");
        let old = old.expect("a delivery");
        assert_eq!((old.stream, old.consumer), ("orders", "mail"));
        assert_eq!((old.attempt, old.sequence, old.number), (3, 100, 7));
        assert_eq!(old.name(), "100-1790230470084404000");
        let new = "$JS.ACK._.hash.orders.mail.3.100.7.1790230470084404000.42.token";
        assert_eq!(Delivery::parse(new), Some(old));
        for other in [
            "",
            "not a receipt",
            "$JS.ACK.a.b.c.d.e.f.g",
            "$JS.ACK.a.b.1.2.3",
        ] {
            assert_eq!(Delivery::parse(other), None);
        }
    }

    #[test]
    fn long_reasons_are_cut_between_characters() {
        let headers = dead_headers("id", &Message::default(), 2, &"ü".repeat(10_000));
        let (attempts, reason) = death(&headers);
        assert_eq!((attempts, reason), (2, "ü".repeat(MAX_REASON / 6)));
    }

    #[test]
    fn delays_are_not_cut() {
        for (delay, read) in [(0, 0), (1, 1), (1_000_000, 1), (1_000_001, 2)] {
            let headers = delayed_headers("id", &Message::default(), Duration::from_nanos(delay));
            assert_eq!(
                super::delay(Some(&headers)),
                Some(Duration::from_millis(read))
            );
        }
        assert_eq!(
            super::delay(Some(&headers("id", &Message::default()))),
            None
        );
    }

    #[test]
    fn ids_in_subjects() {
        assert_eq!(id_token("a-B_9"), "ia-B_9");
        assert_eq!(id_token("a.b *>ü"), "ia=2eb=20=2a=3e=c3=bc");
        assert_eq!(id_token(""), "i");
        assert!(id_token(&".".repeat(1000)).len() < 400);
    }

    #[test]
    fn sizes() {
        let max = 1 << 20;
        let sized = |body: usize, attribute: usize| Message {
            body: vec![0; body].into(),
            attributes: [("a".to_owned(), "x".repeat(attribute))].into(),
            ..Message::default()
        };
        assert_eq!(too_large(&sized(max - RESERVED - 100, 10), max), None);
        assert!(too_large(&sized(max - RESERVED, 10), max).is_some());
        assert!(too_large(&sized(0, MAX_HEADERS), max).is_some());
    }
}
