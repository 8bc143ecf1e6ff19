//! Several mistakes in one declaration, all told; what uses the static still compiles.

use underlay::prelude::*;

#[bucket("User Uploads", publik, versioned = "yes", versioned)]
static UPLOADS: Bucket;

async fn f() -> underlay::Result<()> {
    UPLOADS.remove("a").await
}

fn main() {}
