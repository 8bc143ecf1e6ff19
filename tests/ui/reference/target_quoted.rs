//! A resource by its name.

use underlay::prelude::*;

mod files {
    use underlay::prelude::*;

    #[bucket("uploads")]
    pub static UPLOADS: Bucket;
}

#[reference("uploads")]
static UPLOADS: BucketRef<Downloader>;

fn main() {}
