//! A declaration inside a function whose module has an ordinary static of the same name.

use underlay::prelude::*;

static UPLOADS: u32 = 1;

fn f() -> u32 {
    {
        #[bucket("uploads")]
        static UPLOADS: Bucket;
    }
    UPLOADS
}

fn main() {}
