//! A key with a field that is no text, integer or `bool`.

use underlay::prelude::*;

#[derive(CacheKey)]
struct Key {
    price: f64,
}

fn main() {}
