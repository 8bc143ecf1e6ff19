//! A use that the permissions do not allow.

use underlay::prelude::*;

mod files {
    use underlay::prelude::*;

    #[bucket("uploads")]
    pub static UPLOADS: Bucket;
}

#[reference(files::UPLOADS)]
static UPLOADS: BucketRef<(Downloader, Lister)>;

async fn f() -> underlay::Result<()> {
    UPLOADS.remove("a").await
}

fn main() {}
