//! A pattern with a parameter that is no field.

use underlay::prelude::*;

#[cache("my-cache")]
static CACHE: CacheCluster;

#[derive(CacheKey)]
struct ResourceKey {
    user_id: String,
    resource_path: String,
}

#[keyspace(CACHE, "requests/:user_id/:resource_path/:tenant")]
static REQUESTS: IntKeyspace<ResourceKey>;

fn main() {}
