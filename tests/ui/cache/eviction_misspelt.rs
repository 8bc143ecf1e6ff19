//! A misspelt eviction policy.

use underlay::prelude::*;

#[cache("my-cache", eviction = "all-keys-lru")]
static CACHE: CacheCluster;

fn main() {}
