//! No resource.

use underlay::prelude::*;

mod files {
    use underlay::prelude::*;

    #[bucket("uploads")]
    pub static UPLOADS: Bucket;
}

#[reference]
static UPLOADS: BucketRef<Downloader>;

fn main() {}
