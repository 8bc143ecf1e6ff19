//! An empty name.

use underlay::prelude::*;

#[bucket("")]
static UPLOADS: Bucket;

fn main() {}
