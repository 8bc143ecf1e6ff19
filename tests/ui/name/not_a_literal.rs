//! A name that is a constant.

use underlay::prelude::*;

const NAME: &str = "uploads";

#[bucket(NAME)]
static UPLOADS: Bucket;

fn main() {}
