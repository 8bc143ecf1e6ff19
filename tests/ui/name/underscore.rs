//! A name with `_`.

use underlay::prelude::*;

#[bucket("user_uploads")]
static UPLOADS: Bucket;

fn main() {}
