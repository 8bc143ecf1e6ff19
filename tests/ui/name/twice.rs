//! Two names.

use underlay::prelude::*;

#[bucket("uploads", "downloads")]
static UPLOADS: Bucket;

fn main() {}
