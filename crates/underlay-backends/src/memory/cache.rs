//! Caches inside the process.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use underlay_model::model::Eviction;

use crate::{Error, ErrorKind, Result, cache::{Cache, End, Condition, Expiry}, memory::PROVIDER};

/// How much a cache keeps, and what it drops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheOptions {
    /// What is evicted when the memory is full.
    pub eviction: Eviction,
    /// About how many bytes the keys and values may take.
    pub max_memory: u64,
}

impl Default for CacheOptions {
    /// 256 MiB, `allkeys-lru`.
    fn default() -> Self {
        Self { eviction: Eviction::default(), max_memory: 256 << 20 }
    }
}

/// A cache inside the process.
pub struct MemoryCache {
    name: String,
}

impl MemoryCache {
    /// An empty cache.
    pub fn new(name: impl Into<String>, _options: CacheOptions) -> Self {
        Self { name: name.into() }
    }
}

#[async_trait]
impl Cache for MemoryCache {
    async fn get(&self, _keys: &[String]) -> Result<Vec<Option<Bytes>>> {
        Err(Error::new(ErrorKind::Unsupported, PROVIDER, &self.name, "not built yet"))
    }
    async fn set(&self, _key: &str, _value: Bytes, _expiry: Expiry, _condition: Condition) -> Result<bool> {
        Err(Error::new(ErrorKind::Unsupported, PROVIDER, &self.name, "not built yet"))
    }
    async fn get_and_set(&self, _key: &str, _value: Bytes, _expiry: Expiry) -> Result<Option<Bytes>> {
        Err(Error::new(ErrorKind::Unsupported, PROVIDER, &self.name, "not built yet"))
    }
    async fn get_and_delete(&self, _key: &str) -> Result<Option<Bytes>> {
        Err(Error::new(ErrorKind::Unsupported, PROVIDER, &self.name, "not built yet"))
    }
    async fn delete(&self, _keys: &[String]) -> Result<u64> {
        Err(Error::new(ErrorKind::Unsupported, PROVIDER, &self.name, "not built yet"))
    }
    async fn increment(&self, _key: &str, _by: i64, _expiry: Expiry) -> Result<i64> {
        Err(Error::new(ErrorKind::Unsupported, PROVIDER, &self.name, "not built yet"))
    }
    async fn increment_float(&self, _key: &str, _by: f64, _expiry: Expiry) -> Result<f64> {
        Err(Error::new(ErrorKind::Unsupported, PROVIDER, &self.name, "not built yet"))
    }
    async fn append(&self, _key: &str, _value: Bytes, _expiry: Expiry) -> Result<u64> {
        Err(Error::new(ErrorKind::Unsupported, PROVIDER, &self.name, "not built yet"))
    }
    async fn ttl(&self, _key: &str) -> Result<Option<Option<Duration>>> {
        Err(Error::new(ErrorKind::Unsupported, PROVIDER, &self.name, "not built yet"))
    }
    async fn push(&self, _key: &str, _end: End, _values: Vec<Bytes>, _expiry: Expiry) -> Result<u64> {
        Err(Error::new(ErrorKind::Unsupported, PROVIDER, &self.name, "not built yet"))
    }
    async fn pop(&self, _key: &str, _end: End, _expiry: Expiry) -> Result<Option<Bytes>> {
        Err(Error::new(ErrorKind::Unsupported, PROVIDER, &self.name, "not built yet"))
    }
    async fn range(&self, _key: &str, _start: i64, _stop: i64) -> Result<Vec<Bytes>> {
        Err(Error::new(ErrorKind::Unsupported, PROVIDER, &self.name, "not built yet"))
    }
    async fn trim(&self, _key: &str, _start: i64, _stop: i64, _expiry: Expiry) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, PROVIDER, &self.name, "not built yet"))
    }
    async fn list_len(&self, _key: &str) -> Result<u64> {
        Err(Error::new(ErrorKind::Unsupported, PROVIDER, &self.name, "not built yet"))
    }
    async fn add(&self, _key: &str, _members: Vec<Bytes>, _expiry: Expiry) -> Result<u64> {
        Err(Error::new(ErrorKind::Unsupported, PROVIDER, &self.name, "not built yet"))
    }
    async fn remove(&self, _key: &str, _members: Vec<Bytes>, _expiry: Expiry) -> Result<u64> {
        Err(Error::new(ErrorKind::Unsupported, PROVIDER, &self.name, "not built yet"))
    }
    async fn contains(&self, _key: &str, _member: Bytes) -> Result<bool> {
        Err(Error::new(ErrorKind::Unsupported, PROVIDER, &self.name, "not built yet"))
    }
    async fn members(&self, _key: &str) -> Result<Vec<Bytes>> {
        Err(Error::new(ErrorKind::Unsupported, PROVIDER, &self.name, "not built yet"))
    }
    async fn set_len(&self, _key: &str) -> Result<u64> {
        Err(Error::new(ErrorKind::Unsupported, PROVIDER, &self.name, "not built yet"))
    }
}
