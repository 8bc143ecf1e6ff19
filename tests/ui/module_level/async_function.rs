//! A declaration inside an async function.

use underlay::prelude::*;

async fn f() {
    #[bucket("uploads")]
    static UPLOADS: Bucket;
}

fn main() {}
