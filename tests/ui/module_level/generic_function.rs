//! A declaration inside a generic function.

use underlay::prelude::*;

fn f<T: Default>() -> T {
    #[bucket("uploads")]
    static UPLOADS: Bucket;
    T::default()
}

fn main() {}
