//! Buckets in a directory.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::{Error, ErrorKind, Result, bucket::*, disk::PROVIDER};

pub(super) struct DiskBucket {
    pub(super) name: String,
}

#[async_trait]
impl Bucket for DiskBucket {
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
