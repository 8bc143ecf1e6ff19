//! A static whose own name cannot be the resource's.

use underlay::prelude::*;

#[bucket]
static UNDERLAY_UPLOADS: Bucket;

fn main() {}
