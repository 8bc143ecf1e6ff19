//! A name that starts with a digit.

use underlay::prelude::*;

#[bucket("2nd-uploads")]
static UPLOADS: Bucket;

fn main() {}
