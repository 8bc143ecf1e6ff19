//! A pattern with a misspelt field.

use underlay::prelude::*;

#[cache("my-cache")]
static CACHE: CacheCluster;

#[derive(CacheKey)]
struct ResourceKey {
    user_id: String,
    resource_path: String,
}

#[keyspace(CACHE, "requests/:user/:resource_path")]
static REQUESTS: IntKeyspace<ResourceKey>;

fn main() {}
