//! Bytes in, bytes out: one trait per primitive, and the providers that implement them.
//!
//! Each trait's `# Behavior` bullets are the contract; the suite of the same name in `conformance` checks each
//! bullet on every provider. This crate never sees a message type, a handler, the inventory or a span, and it does
//! not know where its configuration comes from: `underlay::bind` constructs what is here.

pub mod bucket;
pub mod cache;
pub mod capabilities;
pub mod error;
pub mod topic;

#[cfg(any(
    feature = "memory",
    feature = "disk",
    feature = "nats",
    feature = "aws-sns-sqs"
))]
mod id;
#[cfg(feature = "nats")]
mod key_order;
#[cfg(any(feature = "memory", feature = "disk"))]
mod object_history;
#[cfg(any(feature = "memory", feature = "disk"))]
mod object_url;
#[cfg(any(feature = "nats", feature = "aws-sns-sqs"))]
mod tasks;

#[cfg(feature = "aws-sns-sqs")]
pub mod aws;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "disk")]
pub mod disk;
#[cfg(feature = "gcp-pubsub")]
pub mod gcp;
#[cfg(feature = "memory")]
pub mod memory;
#[cfg(feature = "nats")]
pub mod nats;
#[cfg(feature = "postgres")]
pub mod postgres;

pub use error::{Error, ErrorKind, Result};
