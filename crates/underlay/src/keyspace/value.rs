//! Keyspaces of single values: texts, counters, decimal numbers.

use std::borrow::Borrow;

use axum::body::Bytes;
use underlay_backends::cache::Condition;

use super::Keyspace;
use crate::cache::{CacheKey, CacheValue};
use crate::{Error, ErrorKind, Result};

impl<K, V: CacheValue> Keyspace<K, V> {
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
        let keys = [self.place.key(key)?];
        let values = self.place.cache()?.get(&keys).await?;
        values
            .into_iter()
            .next()
            .flatten()
            .map(|value| V::decode(&value))
            .transpose()
    }

    /// Writes a value.
    ///
    /// # Errors
    ///
    /// The cache's failure.
    pub async fn set<Q>(&self, key: &Q, value: impl Into<V>) -> Result<()>
    where
        K: Borrow<Q>,
        Q: CacheKey + Sync + ?Sized,
    {
        self.write(key, value.into(), Condition::Always)
            .await
            .map(|_| ())
    }

    /// Writes a value if the key has none, and says whether it was written.
    ///
    /// # Errors
    ///
    /// The cache's failure.
    pub async fn set_if_absent<Q>(&self, key: &Q, value: impl Into<V>) -> Result<bool>
    where
        K: Borrow<Q>,
        Q: CacheKey + Sync + ?Sized,
    {
        self.write(key, value.into(), Condition::IfAbsent).await
    }

    /// Writes a value if the key has one, and says whether it was written.
    ///
    /// # Errors
    ///
    /// The cache's failure.
    pub async fn replace<Q>(&self, key: &Q, value: impl Into<V>) -> Result<bool>
    where
        K: Borrow<Q>,
        Q: CacheKey + Sync + ?Sized,
    {
        self.write(key, value.into(), Condition::IfPresent).await
    }

    async fn write<Q>(&self, key: &Q, value: V, condition: Condition) -> Result<bool>
    where
        Q: CacheKey + Sync + ?Sized,
    {
        let key = self.place.key(key)?;
        let value = value.encode()?;
        Ok(self
            .place
            .cache()?
            .set(&key, value, self.expiry, condition)
            .await?)
    }

    /// Writes a value and returns the old one.
    ///
    /// # Errors
    ///
    /// The cache's failure; the new value is written even if the old one is of another type.
    pub async fn get_and_set<Q>(&self, key: &Q, value: impl Into<V>) -> Result<Option<V>>
    where
        K: Borrow<Q>,
        Q: CacheKey + Sync + ?Sized,
    {
        let key = self.place.key(key)?;
        let value = value.into().encode()?;
        let old = self
            .place
            .cache()?
            .get_and_set(&key, value, self.expiry)
            .await?;
        old.map(|value| V::decode(&value)).transpose()
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
        let key = self.place.key(key)?;
        let old = self.place.cache()?.get_and_delete(&key).await?;
        old.map(|value| V::decode(&value)).transpose()
    }
}

impl<K> Keyspace<K, String> {
    /// Appends to a text, which is empty when missing, and returns its new length in bytes.
    ///
    /// # Errors
    ///
    /// The cache's failure.
    pub async fn append<Q>(&self, key: &Q, text: &str) -> Result<u64>
    where
        K: Borrow<Q>,
        Q: CacheKey + Sync + ?Sized,
    {
        let key = self.place.key(key)?;
        Ok(self
            .place
            .cache()?
            .append(&key, Bytes::copy_from_slice(text.as_bytes()), self.expiry)
            .await?)
    }
}

impl<K> Keyspace<K, i64> {
    /// Adds to a counter, which is 0 when missing, and returns the sum. No concurrent addition is lost.
    ///
    /// # Errors
    ///
    /// An overflow, which changes nothing, or the cache's failure.
    pub async fn increment<Q>(&self, key: &Q, by: i64) -> Result<i64>
    where
        K: Borrow<Q>,
        Q: CacheKey + Sync + ?Sized,
    {
        let key = self.place.key(key)?;
        Ok(self.place.cache()?.increment(&key, by, self.expiry).await?)
    }

    /// Subtracts from a counter; see [`increment`](Self::increment).
    ///
    /// # Errors
    ///
    /// As [`increment`](Self::increment).
    pub async fn decrement<Q>(&self, key: &Q, by: i64) -> Result<i64>
    where
        K: Borrow<Q>,
        Q: CacheKey + Sync + ?Sized,
    {
        let by = by.checked_neg().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidArgument,
                format!("decrementing by {by} would overflow"),
            )
        })?;
        self.increment(key, by).await
    }
}

impl<K> Keyspace<K, f64> {
    /// Adds to a number, which is 0 when missing, and returns the sum.
    ///
    /// # Errors
    ///
    /// A sum that is not finite, which changes nothing, or the cache's failure.
    pub async fn increment<Q>(&self, key: &Q, by: f64) -> Result<f64>
    where
        K: Borrow<Q>,
        Q: CacheKey + Sync + ?Sized,
    {
        let key = self.place.key(key)?;
        Ok(self
            .place
            .cache()?
            .increment_float(&key, by, self.expiry)
            .await?)
    }
}
