//! No permission.

use underlay::prelude::*;

mod files {
    use underlay::prelude::*;

    #[bucket("uploads")]
    pub static UPLOADS: Bucket;
}

#[reference(files::UPLOADS)]
static UPLOADS: BucketRef<()>;

fn main() {}
