//! A flag that is given twice.

use underlay::prelude::*;

#[bucket("uploads", public, public)]
static UPLOADS: Bucket;

fn main() {}
