//! A pattern with a parameter twice.

use underlay::prelude::*;

#[cache("my-cache")]
static CACHE: CacheCluster;

#[derive(CacheKey)]
struct ResourceKey {
    user_id: String,
    resource_path: String,
}

#[keyspace(CACHE, "requests/:user_id/:user_id/:resource_path")]
static REQUESTS: IntKeyspace<ResourceKey>;

fn main() {}
