//! The public URLs of a bucket that is not public.

use underlay::prelude::*;

mod files {
    use underlay::prelude::*;

    #[bucket("uploads")]
    pub static UPLOADS: Bucket;
}

#[reference(files::UPLOADS)]
static UPLOADS: BucketRef<(Downloader, PublicUrler)>;

fn main() {}
