//! A generic key.

use underlay::prelude::*;

#[derive(CacheKey)]
struct Key<T> {
    id: T,
}

fn main() {}
