//! A key without field names.

use underlay::prelude::*;

#[derive(CacheKey)]
struct Key(String);

fn main() {}
