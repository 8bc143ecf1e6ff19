//! A misspelt option.

use underlay::prelude::*;

#[cache("my-cache")]
static CACHE: CacheCluster;

#[derive(CacheKey)]
struct ResourceKey {
    user_id: String,
    resource_path: String,
}

#[keyspace(CACHE, "requests/:user_id/:resource_path", expires = "10s")]
static REQUESTS: IntKeyspace<ResourceKey>;

fn main() {}
