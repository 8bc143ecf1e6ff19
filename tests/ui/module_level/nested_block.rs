//! A declaration inside a block inside a function.

use underlay::prelude::*;

fn f() {
    loop {
        #[bucket("uploads")]
        static UPLOADS: Bucket;
        break;
    }
}

fn main() {}
