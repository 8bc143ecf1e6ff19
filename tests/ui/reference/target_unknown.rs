//! A resource that does not exist.

use underlay::prelude::*;

mod files {
    use underlay::prelude::*;

    #[bucket("uploads")]
    pub static UPLOADS: Bucket;
}

#[reference(files::INVOICES)]
static UPLOADS: BucketRef<Downloader>;

fn main() {}
