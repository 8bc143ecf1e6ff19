//! A declaration inside the default method of a trait.

use underlay::prelude::*;

trait Service {
    fn f(&self) {
        #[bucket("uploads")]
        static UPLOADS: Bucket;
    }
}

fn main() {}
