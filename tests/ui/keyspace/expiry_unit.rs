//! An expiry without unit.

use underlay::prelude::*;

#[cache("my-cache")]
static CACHE: CacheCluster;

#[derive(CacheKey)]
struct ResourceKey {
    user_id: String,
    resource_path: String,
}

#[keyspace(CACHE, "requests/:user_id/:resource_path", expiry = "10")]
static REQUESTS: IntKeyspace<ResourceKey>;

fn main() {}
