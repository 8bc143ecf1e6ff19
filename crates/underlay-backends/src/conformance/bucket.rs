//! The suite of [`Bucket`].

mod reading;
mod urls;
mod writing;

use std::{any::Any, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    ErrorKind, Result,
    bucket::{Bucket, ByteStream, GetOptions, ListOptions, Object, PutOptions, SignedMethod},
    capabilities::BucketCapabilities,
    conformance::{Case, cases},
};

use self::{
    reading::{
        get_missing, get_range, get_version, head_missing, head_same_etag, list_limit, list_order,
        list_prefix, list_start_after, version_unversioned,
    },
    urls::{public_url_escaped, public_url_private, sign_get, sign_put, sign_too_long},
    writing::{
        copy_same, delete_gone, delete_keeps_versions, delete_missing, delete_version,
        put_any_name, put_bad_name, put_failed_stream, put_if_match, put_not_exists, put_replaces,
        put_round_trip, put_while_read,
    },
};

/// What the suite needs of a backend of buckets.
#[async_trait]
pub trait BucketHarness: Send + Sync + 'static {
    /// What the backend says that it can do.
    fn capabilities(&self) -> BucketCapabilities;

    /// An empty bucket that nobody else uses.
    async fn fresh(&self, versioned: bool, public: bool) -> BucketUnderTest;

    /// Sends a request to a signed URL, without credentials, and returns the object's bytes (none for a PUT), or the
    /// error that the server's answer means. The provider's own server may be called directly.
    async fn request(&self, bucket: &BucketUnderTest, request: SignedRequest) -> Result<Bytes>;
}

/// A bucket.
pub struct BucketUnderTest {
    /// The bucket.
    pub bucket: Arc<dyn Bucket>,
    /// Whatever must live as long as the bucket.
    pub guard: Box<dyn Any + Send + Sync>,
}

/// A request to a signed URL.
#[derive(Debug, Clone)]
pub struct SignedRequest {
    /// Which method it uses.
    pub method: SignedMethod,
    /// The URL.
    pub url: String,
    /// What it sends.
    pub body: Bytes,
}

/// All cases of the suite for one backend.
pub fn bucket_cases<H: BucketHarness>(harness: H) -> Vec<Case> {
    let harness = Arc::new(harness);
    let capable = harness.capabilities();
    cases![harness,
        put_round_trip;
        put_replaces;
        put_failed_stream;
        put_not_exists;
        put_if_match;
        put_bad_name;
        put_any_name;
        put_while_read;
        get_missing;
        get_range;
        get_version if capable.versioning, "versions";
        version_unversioned;
        head_missing;
        head_same_etag;
        list_prefix;
        list_limit;
        list_start_after;
        list_order;
        delete_gone;
        delete_missing;
        delete_version if capable.versioning, "versions";
        delete_keeps_versions if capable.versioning, "versions";
        copy_same;
        sign_too_long if capable.signed_urls, "signed URLs";
        sign_get if capable.signed_urls, "signed URLs";
        sign_put if capable.signed_urls, "signed URLs";
        public_url_private;
        public_url_escaped;
    ]
}

/// A stream of one piece.
fn body(bytes: impl Into<Bytes>) -> ByteStream {
    stream::iter([Ok(bytes.into())]).boxed()
}

async fn put(bucket: &dyn Bucket, name: &str, bytes: impl Into<Bytes>) -> Object {
    bucket
        .put(name, body(bytes), PutOptions::default())
        .await
        .expect("put")
}

async fn read(stream: ByteStream) -> Result<Bytes> {
    let pieces: Vec<Bytes> = stream.try_collect().await?;
    Ok(Bytes::from(pieces.concat()))
}

async fn get(bucket: &dyn Bucket, name: &str) -> Result<Bytes> {
    let (_, stream) = bucket.get(name, GetOptions::default()).await?;
    read(stream).await
}

async fn list(bucket: &dyn Bucket, options: ListOptions) -> Vec<Object> {
    bucket
        .list(options)
        .await
        .expect("list")
        .try_collect()
        .await
        .expect("list")
}

async fn names(bucket: &dyn Bucket, options: ListOptions) -> Vec<String> {
    list(bucket, options)
        .await
        .into_iter()
        .map(|object| object.name)
        .collect()
}

fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}
