//! An application for the tests of URLs: one bucket that nobody reads without a signature, and one that everybody does.
//! It has no database, so it starts without any server.

use std::time::Duration;

use underlay::axum::extract::{Path, Query};
use underlay::prelude::*;

#[bucket("papers")]
static PAPERS: Bucket;

#[bucket("site", public)]
static SITE: Bucket;

/// For how long a URL shall hold.
#[derive(Deserialize)]
struct Holds {
    seconds: Option<u64>,
}

impl Holds {
    fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(60))
    }
}

#[api(method = GET, path = "/upload-url/{name}", public)]
async fn upload_url(
    Path(name): Path<String>,
    Query(holds): Query<Holds>,
) -> underlay::Result<String> {
    PAPERS.signed_upload_url(&name, holds.duration()).await
}

#[api(method = GET, path = "/download-url/{name}", public)]
async fn download_url(
    Path(name): Path<String>,
    Query(holds): Query<Holds>,
) -> underlay::Result<String> {
    PAPERS.signed_download_url(&name, holds.duration()).await
}

#[api(method = GET, path = "/public-url/{name}", public)]
async fn public_url(Path(name): Path<String>) -> underlay::Result<String> {
    SITE.public_url(&name)
}

#[api(method = POST, path = "/public/{name}", public)]
async fn publish(Path(name): Path<String>) -> underlay::Result<()> {
    SITE.upload(&name, "<svg/>").await?;
    Ok(())
}

#[underlay::main]
async fn main() -> underlay::Result<()> {
    underlay::run().await
}
