//! Keyspaces of lists.

use std::borrow::Borrow;

use underlay_backends::cache::End;

use super::ListKeyspace;
use crate::Result;
use crate::cache::{CacheKey, CacheValue};

impl<K, V: CacheValue> ListKeyspace<K, V> {
    /// Puts a value at the left end and returns the new length.
    ///
    /// # Errors
    ///
    /// The cache's failure.
    pub async fn push_left<Q>(&self, key: &Q, value: impl Into<V>) -> Result<u64>
    where
        K: Borrow<Q>,
        Q: CacheKey + Sync + ?Sized,
    {
        self.push(key, End::Left, value.into()).await
    }

    /// Puts a value at the right end and returns the new length.
    ///
    /// # Errors
    ///
    /// The cache's failure.
    pub async fn push_right<Q>(&self, key: &Q, value: impl Into<V>) -> Result<u64>
    where
        K: Borrow<Q>,
        Q: CacheKey + Sync + ?Sized,
    {
        self.push(key, End::Right, value.into()).await
    }

    async fn push<Q: CacheKey + Sync + ?Sized>(&self, key: &Q, end: End, value: V) -> Result<u64> {
        let key = self.place.key(key)?;
        let values = vec![value.encode()?];
        Ok(self
            .place
            .cache()?
            .push(&key, end, values, self.expiry)
            .await?)
    }

    /// Takes the value at the left end; `None` without a list.
    ///
    /// # Errors
    ///
    /// The cache's failure.
    pub async fn pop_left<Q>(&self, key: &Q) -> Result<Option<V>>
    where
        K: Borrow<Q>,
        Q: CacheKey + Sync + ?Sized,
    {
        self.pop(key, End::Left).await
    }

    /// Takes the value at the right end; `None` without a list.
    ///
    /// # Errors
    ///
    /// The cache's failure.
    pub async fn pop_right<Q>(&self, key: &Q) -> Result<Option<V>>
    where
        K: Borrow<Q>,
        Q: CacheKey + Sync + ?Sized,
    {
        self.pop(key, End::Right).await
    }

    async fn pop<Q: CacheKey + Sync + ?Sized>(&self, key: &Q, end: End) -> Result<Option<V>> {
        let key = self.place.key(key)?;
        let value = self.place.cache()?.pop(&key, end, self.expiry).await?;
        value.map(|value| V::decode(&value)).transpose()
    }

    /// The values from `start` to `stop`, both included; negative indices count from the right end.
    ///
    /// # Errors
    ///
    /// The cache's failure.
    pub async fn range<Q>(&self, key: &Q, start: i64, stop: i64) -> Result<Vec<V>>
    where
        K: Borrow<Q>,
        Q: CacheKey + Sync + ?Sized,
    {
        let key = self.place.key(key)?;
        let values = self.place.cache()?.range(&key, start, stop).await?;
        values.iter().map(|value| V::decode(value)).collect()
    }

    /// Keeps only the values from `start` to `stop`, both included.
    ///
    /// # Errors
    ///
    /// The cache's failure.
    pub async fn trim<Q>(&self, key: &Q, start: i64, stop: i64) -> Result<()>
    where
        K: Borrow<Q>,
        Q: CacheKey + Sync + ?Sized,
    {
        let key = self.place.key(key)?;
        Ok(self
            .place
            .cache()?
            .trim(&key, start, stop, self.expiry)
            .await?)
    }

    /// The length of the list; 0 without one.
    ///
    /// # Errors
    ///
    /// The cache's failure.
    pub async fn len<Q>(&self, key: &Q) -> Result<u64>
    where
        K: Borrow<Q>,
        Q: CacheKey + Sync + ?Sized,
    {
        Ok(self.place.cache()?.list_len(&self.place.key(key)?).await?)
    }
}
