//! No pattern.

use underlay::prelude::*;

#[cache("my-cache")]
static CACHE: CacheCluster;

#[derive(CacheKey)]
struct ResourceKey {
    user_id: String,
    resource_path: String,
}

#[keyspace(CACHE)]
static REQUESTS: IntKeyspace<ResourceKey>;

fn main() {}
