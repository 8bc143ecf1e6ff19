//! `#[keyspace]`: typed values under typed keys, with expiry.

use std::borrow::Borrow;
use std::marker::PhantomData;
use std::time::Duration;

use axum::body::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use underlay_backends::cache::{Condition, End, Expiry};

use crate::cache::{CacheKey, CacheValue, Json, Place};
use crate::{Error, ErrorKind, Result};

macro_rules! keyspace {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        pub struct $name<K, V> {
            place: &'static Place,
            expiry: Expiry,
            types: PhantomData<fn(K, V)>,
        }

        impl<K, V> $name<K, V> {
            #[doc(hidden)]
            pub const fn __new(place: &'static Place, expiry: Option<Duration>) -> Self {
                let expiry = match expiry {
                    Some(time) => Expiry::In(time),
                    None => Expiry::Never,
                };
                Self { place, expiry, types: PhantomData }
            }

            /// The same keyspace, whose writes use this expiry instead of the declared one.
            #[must_use]
            pub fn with_expiry(&self, expiry: Expiry) -> Self {
                Self { place: self.place, expiry, types: PhantomData }
            }
        }
    };
}

keyspace! {
    /// One value per key; the declared expiry starts anew at each write.
    Keyspace
}
keyspace! {
    /// A list per key.
    ListKeyspace
}
keyspace! {
    /// A set per key.
    SetKeyspace
}

/// A keyspace of texts.
pub type StringKeyspace<K> = Keyspace<K, String>;
/// A keyspace of counters.
pub type IntKeyspace<K> = Keyspace<K, i64>;
/// A keyspace of decimal numbers.
pub type FloatKeyspace<K> = Keyspace<K, f64>;
/// A keyspace of lists of texts.
pub type StringListKeyspace<K> = ListKeyspace<K, String>;
/// A keyspace of lists of integers.
pub type IntListKeyspace<K> = ListKeyspace<K, i64>;
/// A keyspace of sets of texts.
pub type StringSetKeyspace<K> = SetKeyspace<K, String>;
/// A keyspace of sets of integers.
pub type IntSetKeyspace<K> = SetKeyspace<K, i64>;

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

macro_rules! delete_and_ttl {
    ($($name:ident)*) => {$(
        impl<K, V> $name<K, V> {
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
                let keys = [self.place.key(key)?];
                Ok(self.place.cache()?.delete(&keys).await? == 1)
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
                Ok(self.place.cache()?.ttl(&self.place.key(key)?).await?)
            }
        }
    )*};
}

delete_and_ttl!(Keyspace ListKeyspace SetKeyspace);

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
