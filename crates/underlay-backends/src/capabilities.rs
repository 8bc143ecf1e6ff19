//! What each backend can do: declared by the backend, asked by the conformance suites, printed in `docs/backends.md`.
//!
//! Knows no backend beyond the list of those that are compiled in.

/// What a topic and its subscriptions can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicCapabilities {
    /// Messages of one key can be delivered in order.
    pub ordering: bool,
    /// An acknowledged message is never delivered again, where the topic asks for it.
    pub exactly_once: bool,
    /// A message can be published to be delivered later.
    pub delay: bool,
    /// Messages survive a crash and a restart.
    pub persistent: bool,
    /// Given-up messages are kept.
    pub dead_letters: bool,
    /// The largest message in bytes.
    pub max_message_bytes: Option<u64>,
}

/// What a bucket can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketCapabilities {
    /// Older versions can be kept, read and deleted.
    pub versioning: bool,
    /// There are URLs that allow one method on one object for a time.
    pub signed_urls: bool,
    /// Objects survive a crash and a restart.
    pub persistent: bool,
    /// The largest object in bytes.
    pub max_object_bytes: Option<u64>,
}

/// What a cache can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheCapabilities {
    /// Every eviction policy holds; otherwise the server's own does.
    pub eviction: bool,
    /// Several processes share the keys.
    pub shared: bool,
    /// Keys survive a restart of the application.
    pub persistent: bool,
}

/// What a backend can do, by its primitive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Capabilities {
    /// Of a topic.
    Topic(TopicCapabilities),
    /// Of a bucket.
    Bucket(BucketCapabilities),
    /// Of a cache.
    Cache(CacheCapabilities),
}

/// One backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backend {
    /// The provider's name, as in the infra config.
    pub provider: &'static str,
    /// Which of the provider's backends it is, where there are several: `in memory`, `with a file`.
    pub variant: Option<&'static str>,
    /// What it can do.
    pub capabilities: Capabilities,
}

/// All backends that are compiled in, by primitive and provider.
pub fn backends() -> Vec<Backend> {
    let mut backends: Vec<Backend> = Vec::new();
    #[cfg(feature = "memory")]
    backends.extend(crate::memory::BACKENDS);
    #[cfg(feature = "disk")]
    backends.extend(crate::disk::BACKENDS);
    #[cfg(feature = "gcp-pubsub")]
    backends.extend(crate::gcp::BACKENDS);
    #[cfg(feature = "aws-sns-sqs")]
    backends.extend(crate::aws::BACKENDS);
    #[cfg(feature = "nats")]
    backends.extend(crate::nats::BACKENDS);
    backends.sort_by_key(|backend| (backend.capabilities.primitive(), backend.provider));
    backends
}

impl Capabilities {
    /// The primitive's name: `bucket`, `cache`, `topic`.
    pub fn primitive(&self) -> &'static str {
        match self {
            Self::Topic(_) => "topic",
            Self::Bucket(_) => "bucket",
            Self::Cache(_) => "cache",
        }
    }

    /// Each capability as a heading and a value, in a fixed order, for a table.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let yes = |capable: bool| if capable { "yes" } else { "no" }.to_owned();
        let bytes =
            |limit: Option<u64>| limit.map_or("no limit".to_owned(), |bytes| bytes.to_string());
        match self {
            Self::Topic(topic) => vec![
                ("ordering", yes(topic.ordering)),
                ("exactly once", yes(topic.exactly_once)),
                ("delay", yes(topic.delay)),
                ("survives a restart", yes(topic.persistent)),
                ("dead letters", yes(topic.dead_letters)),
                ("largest message (bytes)", bytes(topic.max_message_bytes)),
            ],
            Self::Bucket(bucket) => vec![
                ("versions", yes(bucket.versioning)),
                ("signed URLs", yes(bucket.signed_urls)),
                ("survives a restart", yes(bucket.persistent)),
                ("largest object (bytes)", bytes(bucket.max_object_bytes)),
            ],
            Self::Cache(cache) => vec![
                ("all eviction policies", yes(cache.eviction)),
                ("shared by processes", yes(cache.shared)),
                ("survives a restart", yes(cache.persistent)),
            ],
        }
    }
}
