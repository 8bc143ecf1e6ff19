//! A name of 64 characters.

use underlay::prelude::*;

#[bucket("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
static UPLOADS: Bucket;

fn main() {}
