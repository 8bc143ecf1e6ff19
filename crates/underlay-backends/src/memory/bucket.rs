//! Buckets inside the process, for tests.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::{Error, ErrorKind, Result, bucket::*, memory::PROVIDER, object_url::BucketOptions};

/// A bucket inside the process.
pub struct MemoryBucket {
    name: String,
}

impl MemoryBucket {
    /// An empty bucket.
    pub fn new(name: impl Into<String>, _options: BucketOptions) -> Self {
        Self { name: name.into() }
    }
}

#[async_trait]
impl Bucket for MemoryBucket {
    async fn put(&self, _name: &str, _body: ByteStream, _options: PutOptions) -> Result<Object> {
        Err(Error::new(
            ErrorKind::Unsupported,
            PROVIDER,
            &self.name,
            "not built yet",
        ))
    }
    async fn get(&self, _name: &str, _options: GetOptions) -> Result<(Object, ByteStream)> {
        Err(Error::new(
            ErrorKind::Unsupported,
            PROVIDER,
            &self.name,
            "not built yet",
        ))
    }
    async fn head(&self, _name: &str, _version: Option<&str>) -> Result<Object> {
        Err(Error::new(
            ErrorKind::Unsupported,
            PROVIDER,
            &self.name,
            "not built yet",
        ))
    }
    async fn list(&self, _options: ListOptions) -> Result<BoxStream<'static, Result<Object>>> {
        Err(Error::new(
            ErrorKind::Unsupported,
            PROVIDER,
            &self.name,
            "not built yet",
        ))
    }
    async fn delete(&self, _name: &str, _version: Option<&str>) -> Result<()> {
        Err(Error::new(
            ErrorKind::Unsupported,
            PROVIDER,
            &self.name,
            "not built yet",
        ))
    }
    async fn copy(&self, _from: &str, _to: &str) -> Result<Object> {
        Err(Error::new(
            ErrorKind::Unsupported,
            PROVIDER,
            &self.name,
            "not built yet",
        ))
    }
    async fn sign(
        &self,
        _name: &str,
        _method: SignedMethod,
        _expires_in: Duration,
    ) -> Result<String> {
        Err(Error::new(
            ErrorKind::Unsupported,
            PROVIDER,
            &self.name,
            "not built yet",
        ))
    }
    fn public_url(&self, _name: &str) -> Result<String> {
        Err(Error::new(
            ErrorKind::Unsupported,
            PROVIDER,
            &self.name,
            "not built yet",
        ))
    }
}
