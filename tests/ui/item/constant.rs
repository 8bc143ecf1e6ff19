//! A constant instead of a static.

use underlay::prelude::*;

#[bucket("uploads")]
const UPLOADS: Bucket;

fn main() {}
