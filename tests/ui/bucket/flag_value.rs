//! A flag whose value is a text.

use underlay::prelude::*;

#[bucket("uploads", public = "yes")]
static UPLOADS: Bucket;

fn main() {}
