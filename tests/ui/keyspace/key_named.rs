//! A parameter other than `:key` for a basic key.

use underlay::prelude::*;

#[cache("my-cache")]
static CACHE: CacheCluster;

#[derive(CacheKey)]
struct ResourceKey {
    user_id: String,
    resource_path: String,
}

#[keyspace(CACHE, "requests/:user_id")]
static REQUESTS: IntKeyspace<String>;

fn main() {}
