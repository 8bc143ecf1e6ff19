//! A permission that is some other type.

use underlay::prelude::*;

mod files {
    use underlay::prelude::*;

    #[bucket("uploads")]
    pub static UPLOADS: Bucket;
}

#[reference(files::UPLOADS)]
static UPLOADS: BucketRef<String>;

fn main() {}
