//! A static of the wrong type.

use underlay::prelude::*;

mod files {
    use underlay::prelude::*;

    #[bucket("uploads")]
    pub static UPLOADS: Bucket;
}

#[reference(files::UPLOADS)]
static UPLOADS: Bucket;

fn main() {}
