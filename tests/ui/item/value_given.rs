//! A static with a value.

use underlay::prelude::*;

#[bucket("uploads")]
static UPLOADS: Bucket = Bucket::new();

fn main() {}
