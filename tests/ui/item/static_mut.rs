//! A mutable static.

use underlay::prelude::*;

#[bucket("uploads")]
static mut UPLOADS: Bucket;

fn main() {}
