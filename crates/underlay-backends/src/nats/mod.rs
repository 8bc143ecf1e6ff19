//! The provider `nats`: topics and subscriptions on NATS JetStream.
//!
//! A topic is a stream with one subject of the same name, a subscription a durable pull consumer of it; given-up
//! messages are in a second stream, `<topic>-dead`, and those that are not due in a third, `<topic>-delayed`. The client is
//! set up in `broker.rs`; what is on the wire is in `message.rs`. Nothing here knows the infra config.
//!
//! What order, exactly once and delays are here, and what they are not, is said at [`Broker`].

mod broker;
mod claim;
mod dead_letters;
mod delayed;
mod error;
mod message;
mod ordered;
mod pull;
mod streams;
mod subscription;
mod topic;

use crate::capabilities::{Backend, Capabilities, TopicCapabilities};

pub use broker::Broker;

/// The provider's name.
pub const PROVIDER: &str = "nats";

/// What a topic can do on a server with its default limits.
///
/// The server's `max_payload` of 1 MiB counts headers, in which attributes are, and a dead letter has a few more.
pub const TOPIC: TopicCapabilities = TopicCapabilities {
    ordering: true,
    exactly_once: true,
    delay: true,
    persistent: true,
    dead_letters: true,
    max_message_bytes: Some((1 << 20) - message::RESERVED as u64),
};

/// This provider's backends.
pub(crate) const BACKENDS: [Backend; 1] = [Backend {
    provider: PROVIDER,
    variant: None,
    capabilities: Capabilities::Topic(TOPIC),
}];
