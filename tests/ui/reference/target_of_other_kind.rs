//! A bucket for a database.

use underlay::prelude::*;

mod files {
    use underlay::prelude::*;

    #[bucket("uploads")]
    pub static UPLOADS: Bucket;
}

#[reference(files::UPLOADS)]
static UPLOADS: DatabaseRef<ReadOnly>;

fn main() {}
