//! The provider `memory`: a broker, caches and buckets inside the process, for local runs and tests.
//!
//! The broker can keep its messages in a file, so that a restart loses none. Nothing here reaches the network.

mod broker;
mod bucket;
mod cache;
mod entries;
mod journal;
mod number;
mod queue;
mod subscription;

use crate::capabilities::{
    Backend, BucketCapabilities, CacheCapabilities, Capabilities, TopicCapabilities,
};

pub use crate::object_url::{BucketOptions, SigningKey, verify};
pub use crate::topic::{SubscriptionOptions, TopicOptions};
pub use broker::{Broker, FileOptions, Removed};
pub use bucket::MemoryBucket;
pub use cache::{CacheOptions, MemoryCache};
pub use queue::Depth;

/// The provider's name.
pub const PROVIDER: &str = "memory";

/// What the broker can do without a file.
pub const TOPIC_IN_MEMORY: TopicCapabilities = TopicCapabilities {
    ordering: true,
    exactly_once: true,
    delay: true,
    persistent: false,
    dead_letters: true,
    max_message_bytes: Some(broker::MAX_MESSAGE_BYTES),
};

/// What the broker can do with a file.
pub const TOPIC_WITH_FILE: TopicCapabilities = TopicCapabilities {
    persistent: true,
    ..TOPIC_IN_MEMORY
};

/// What a [`MemoryCache`] can do.
pub const CACHE: CacheCapabilities = CacheCapabilities {
    eviction: true,
    shared: false,
    persistent: false,
};

/// What a [`MemoryBucket`] can do.
pub const BUCKET: BucketCapabilities = BucketCapabilities {
    versioning: true,
    signed_urls: true,
    persistent: false,
    max_object_bytes: None,
};

/// This provider's backends.
pub(crate) const BACKENDS: [Backend; 4] = [
    Backend {
        provider: PROVIDER,
        variant: Some("in memory"),
        capabilities: Capabilities::Topic(TOPIC_IN_MEMORY),
    },
    Backend {
        provider: PROVIDER,
        variant: Some("with a file"),
        capabilities: Capabilities::Topic(TOPIC_WITH_FILE),
    },
    Backend {
        provider: PROVIDER,
        variant: None,
        capabilities: Capabilities::Cache(CACHE),
    },
    Backend {
        provider: PROVIDER,
        variant: None,
        capabilities: Capabilities::Bucket(BUCKET),
    },
];
