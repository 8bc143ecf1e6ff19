//! A static of the wrong type.

use underlay::prelude::*;

#[cache("my-cache")]
static CACHE: Bucket;

fn main() {}
