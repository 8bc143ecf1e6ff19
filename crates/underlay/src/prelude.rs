//! What a module with declarations needs: `use underlay::prelude::*;`.

pub use serde::{Deserialize, Serialize};

pub use crate::{
    Attrser, Bucket, BucketRef, CacheCluster, CacheKey, CacheRef, Delivery, Downloader, Expiry,
    FloatKeyspace, IntKeyspace, IntListKeyspace, IntSetKeyspace, List, Lister, Message,
    PublicUrler, Publisher, ReadOnly, ReadWrite, Remover, Secret, SignedDownloader, SignedUploader,
    StringKeyspace, StringListKeyspace, StringSetKeyspace, StructKeyspace, Topic, TopicRef, Upload,
    Uploader,
};
#[cfg(feature = "postgres")]
pub use crate::{Database, DatabaseRef};
pub use underlay_macros::{
    api, bucket, cache, cron, database, keyspace, reference, secret, subscription, topic,
};
