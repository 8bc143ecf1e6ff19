//! A pattern with a parameter without name.

use underlay::prelude::*;

#[cache("my-cache")]
static CACHE: CacheCluster;

#[derive(CacheKey)]
struct ResourceKey {
    user_id: String,
    resource_path: String,
}

#[keyspace(CACHE, "requests/:/:resource_path")]
static REQUESTS: IntKeyspace<ResourceKey>;

fn main() {}
