//! A name that is not kebab-case.

use underlay::prelude::*;

#[bucket("UserUploads")]
static UPLOADS: Bucket;

fn main() {}
