//! A key without fields.

use underlay::prelude::*;

#[derive(CacheKey)]
struct Key {}

fn main() {}
