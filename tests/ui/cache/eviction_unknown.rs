//! An eviction policy that does not exist.

use underlay::prelude::*;

#[cache("my-cache", eviction = "fifo")]
static CACHE: CacheCluster;

fn main() {}
