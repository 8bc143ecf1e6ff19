//! `#[cache]` inside a function.

use underlay::prelude::*;

fn f() {
    #[cache("my-cache")]
    static CACHE: CacheCluster;
}

fn main() {}
