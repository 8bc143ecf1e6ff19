//! A permission of another kind of resource.

use underlay::prelude::*;

mod files {
    use underlay::prelude::*;

    #[bucket("uploads")]
    pub static UPLOADS: Bucket;
}

#[reference(files::UPLOADS)]
static UPLOADS: BucketRef<(Downloader, Publisher)>;

fn main() {}
