//! `#[keyspace]`: typed values under typed keys, with expiry. What each kind of keyspace can do is in a file of its own.

use std::borrow::Borrow;
use std::marker::PhantomData;
use std::time::Duration;

use underlay_backends::cache::Expiry;

use crate::Result;
use crate::cache::{CacheKey, Place};

mod json;
mod list;
mod set;
mod value;

pub use json::StructKeyspace;

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
