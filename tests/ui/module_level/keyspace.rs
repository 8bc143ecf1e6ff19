//! `#[keyspace]` inside a function.

use underlay::prelude::*;

#[cache("my-cache")]
static CACHE: CacheCluster;

fn f() {
    #[keyspace(CACHE, "token/:key")]
    static TOKENS: StringKeyspace<String>;
}

fn main() {}
