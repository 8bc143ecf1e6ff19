//! A key that is an enum.

use underlay::prelude::*;

#[derive(CacheKey)]
enum Key {
    User,
}

fn main() {}
