//! Keyspaces of sets.

use std::borrow::Borrow;

use super::SetKeyspace;
use crate::Result;
use crate::cache::{CacheKey, CacheValue};

impl<K, V: CacheValue> SetKeyspace<K, V> {
    /// Adds a member and says whether it is new.
    ///
    /// # Errors
    ///
    /// The cache's failure.
    pub async fn add<Q>(&self, key: &Q, member: impl Into<V>) -> Result<bool>
    where
        K: Borrow<Q>,
        Q: CacheKey + Sync + ?Sized,
    {
        let key = self.place.key(key)?;
        let members = vec![member.into().encode()?];
        Ok(self.place.cache()?.add(&key, members, self.expiry).await? == 1)
    }

    /// Removes a member and says whether it was one.
    ///
    /// # Errors
    ///
    /// The cache's failure.
    pub async fn remove<Q>(&self, key: &Q, member: impl Into<V>) -> Result<bool>
    where
        K: Borrow<Q>,
        Q: CacheKey + Sync + ?Sized,
    {
        let key = self.place.key(key)?;
        let members = vec![member.into().encode()?];
        Ok(self
            .place
            .cache()?
            .remove(&key, members, self.expiry)
            .await?
            == 1)
    }

    /// Whether the set has a member.
    ///
    /// # Errors
    ///
    /// The cache's failure.
    pub async fn contains<Q>(&self, key: &Q, member: impl Into<V>) -> Result<bool>
    where
        K: Borrow<Q>,
        Q: CacheKey + Sync + ?Sized,
    {
        let key = self.place.key(key)?;
        let member = member.into().encode()?;
        Ok(self.place.cache()?.contains(&key, member).await?)
    }

    /// The members, in no order.
    ///
    /// # Errors
    ///
    /// The cache's failure.
    pub async fn members<Q>(&self, key: &Q) -> Result<Vec<V>>
    where
        K: Borrow<Q>,
        Q: CacheKey + Sync + ?Sized,
    {
        let members = self.place.cache()?.members(&self.place.key(key)?).await?;
        members.iter().map(|member| V::decode(member)).collect()
    }

    /// The number of members; 0 without a set.
    ///
    /// # Errors
    ///
    /// The cache's failure.
    pub async fn len<Q>(&self, key: &Q) -> Result<u64>
    where
        K: Borrow<Q>,
        Q: CacheKey + Sync + ?Sized,
    {
        Ok(self.place.cache()?.set_len(&self.place.key(key)?).await?)
    }
}
