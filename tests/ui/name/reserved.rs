//! A name that starts with the reserved prefix.

use underlay::prelude::*;

#[bucket("underlay-uploads")]
static UPLOADS: Bucket;

fn main() {}
