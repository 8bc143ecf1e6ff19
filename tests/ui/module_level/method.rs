//! A declaration inside a method.

use underlay::prelude::*;

struct Service;

impl Service {
    fn f(&self) {
        #[bucket("uploads")]
        static UPLOADS: Bucket;
    }
}

fn main() {}
