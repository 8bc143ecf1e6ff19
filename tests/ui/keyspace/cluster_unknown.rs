//! A cluster that does not exist.

use underlay::prelude::*;

#[cache("my-cache")]
static CACHE: CacheCluster;

#[derive(CacheKey)]
struct ResourceKey {
    user_id: String,
    resource_path: String,
}

#[keyspace(CASH, "requests/:user_id/:resource_path")]
static REQUESTS: IntKeyspace<ResourceKey>;

fn main() {}
