//! A bucket for a cluster.

use underlay::prelude::*;

#[cache("my-cache")]
static CACHE: CacheCluster;

#[derive(CacheKey)]
struct ResourceKey {
    user_id: String,
    resource_path: String,
}

#[bucket("uploads")]
static UPLOADS: Bucket;

#[keyspace(UPLOADS, "requests/:user_id/:resource_path")]
static REQUESTS: IntKeyspace<ResourceKey>;

fn main() {}
