//! A name that is a number.

use underlay::prelude::*;

#[bucket(7)]
static UPLOADS: Bucket;

fn main() {}
