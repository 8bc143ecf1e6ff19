//! A declaration inside a function.

use underlay::prelude::*;

fn f() {
    #[bucket("uploads")]
    static UPLOADS: Bucket;
}

fn main() {}
