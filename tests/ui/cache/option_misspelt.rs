//! A misspelt option.

use underlay::prelude::*;

#[cache("my-cache", evicton = "allkeys-lru")]
static CACHE: CacheCluster;

fn main() {}
