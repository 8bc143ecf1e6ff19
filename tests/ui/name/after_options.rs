//! A name after the options.

use underlay::prelude::*;

#[bucket(public, "uploads")]
static UPLOADS: Bucket;

fn main() {}
