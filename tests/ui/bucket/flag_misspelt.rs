//! A misspelt flag.

use underlay::prelude::*;

#[bucket("uploads", version)]
static UPLOADS: Bucket;

fn main() {}
