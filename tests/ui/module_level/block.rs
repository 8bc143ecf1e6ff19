//! A declaration inside the block of a constant.

use underlay::prelude::*;

const _: () = {
    #[bucket("uploads")]
    static UPLOADS: Bucket;
};

fn main() {}
