//! A declaration inside a closure.

use underlay::prelude::*;

static F: fn() = || {
    #[bucket("uploads")]
    static UPLOADS: Bucket;
};

fn main() {}
