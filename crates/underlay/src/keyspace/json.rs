//! Keyspaces of values that are stored as JSON.

use std::borrow::Borrow;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use underlay_backends::cache::Expiry;

use super::Keyspace;
use crate::Result;
use crate::cache::{CacheKey, Json, Place};

/// A keyspace of values that are stored as JSON.
pub struct StructKeyspace<K, V> {
    inner: Keyspace<K, Json<V>>,
}

impl<K, V: Serialize + DeserializeOwned + Send> StructKeyspace<K, V> {
    #[doc(hidden)]
    pub const fn __new(place: &'static Place, expiry: Option<Duration>) -> Self {
        Self {
            inner: Keyspace::__new(place, expiry),
        }
    }

    /// The same keyspace, whose writes use this expiry instead of the declared one.
    #[must_use]
    pub fn with_expiry(&self, expiry: Expiry) -> Self {
        Self {
            inner: self.inner.with_expiry(expiry),
        }
    }

    /// The value of a key; `None` without one.
    ///
    /// # Errors
    ///
    /// The cache's failure, or a value of another type under the key.
    pub async fn get<Q>(&self, key: &Q) -> Result<Option<V>>
    where
        K: Borrow<Q>,
        Q: CacheKey + Sync + ?Sized,
    {
        Ok(self.inner.get(key).await?.map(|Json(value)| value))
    }

    /// Writes a value.
    ///
    /// # Errors
    ///
    /// The cache's failure, or a value that JSON cannot express.
    pub async fn set<Q>(&self, key: &Q, value: V) -> Result<()>
    where
        K: Borrow<Q>,
        Q: CacheKey + Sync + ?Sized,
    {
        self.inner.set(key, Json(value)).await
    }

    /// Writes a value if the key has none, and says whether it was written.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub async fn set_if_absent<Q>(&self, key: &Q, value: V) -> Result<bool>
    where
        K: Borrow<Q>,
        Q: CacheKey + Sync + ?Sized,
    {
        self.inner.set_if_absent(key, Json(value)).await
    }

    /// Writes a value if the key has one, and says whether it was written.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub async fn replace<Q>(&self, key: &Q, value: V) -> Result<bool>
    where
        K: Borrow<Q>,
        Q: CacheKey + Sync + ?Sized,
    {
        self.inner.replace(key, Json(value)).await
    }

    /// Removes a key and returns its value.
    ///
    /// # Errors
    ///
    /// The cache's failure.
    pub async fn get_and_delete<Q>(&self, key: &Q) -> Result<Option<V>>
    where
        K: Borrow<Q>,
        Q: CacheKey + Sync + ?Sized,
    {
        Ok(self
            .inner
            .get_and_delete(key)
            .await?
            .map(|Json(value)| value))
    }

    /// Removes a key and says whether there was one.
    ///
    /// # Errors
    ///
    /// The cache's failure.
    pub async fn delete<Q>(&self, key: &Q) -> Result<bool>
    where
        K: Borrow<Q>,
        Q: CacheKey + Sync + ?Sized,
    {
        self.inner.delete(key).await
    }

    /// How long a key still lives: `None` without such a key, `Some(None)` if it never expires.
    ///
    /// # Errors
    ///
    /// The cache's failure.
    pub async fn ttl<Q>(&self, key: &Q) -> Result<Option<Option<Duration>>>
    where
        K: Borrow<Q>,
        Q: CacheKey + Sync + ?Sized,
    {
        self.inner.ttl(key).await
    }
}
