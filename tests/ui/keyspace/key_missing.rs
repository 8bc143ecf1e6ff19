//! A pattern without `:key` for a basic key.

use underlay::prelude::*;

#[cache("my-cache")]
static CACHE: CacheCluster;

#[derive(CacheKey)]
struct ResourceKey {
    user_id: String,
    resource_path: String,
}

#[keyspace(CACHE, "requests")]
static REQUESTS: IntKeyspace<String>;

fn main() {}
