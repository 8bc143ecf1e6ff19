//! A declaration inside a function whose module has a static of the same name.

use underlay::prelude::*;

#[bucket("uploads")]
static UPLOADS: Bucket;

fn f() {
    #[bucket("more-uploads")]
    static UPLOADS: Bucket;
}

fn main() {}
