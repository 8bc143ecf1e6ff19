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

pub use crate::object_url::{BucketOptions, SigningKey, verify};
pub use broker::{Broker, FileOptions, Removed, SubscriptionOptions, TopicOptions};
pub use bucket::MemoryBucket;
pub use cache::{CacheOptions, MemoryCache};
pub use queue::Depth;

/// The provider's name.
pub const PROVIDER: &str = "memory";
