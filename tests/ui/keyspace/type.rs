//! A static of the wrong type.

use underlay::prelude::*;

#[cache("my-cache")]
static CACHE: CacheCluster;

#[derive(CacheKey)]
struct ResourceKey {
    user_id: String,
    resource_path: String,
}

#[keyspace(CACHE, "requests/:user_id/:resource_path")]
static REQUESTS: CacheCluster;

fn main() {}
