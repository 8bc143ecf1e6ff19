//! `#[cache]`: a cache cluster, and what can be a key or a value in it. The keyspaces are in `keyspace.rs`.

use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use underlay_backends::cache as backend;
pub use underlay_backends::cache::Expiry;
use underlay_model::key_pattern::KeyPattern;

use crate::handle::Slot;
use crate::{Error, ErrorKind, Result};

/// A handle of a declared cache cluster. Values are reached through the keyspaces declared on it.
pub struct CacheCluster {
    name: &'static str,
    slot: Slot<Arc<dyn backend::Cache>>,
}

impl CacheCluster {
    #[doc(hidden)]
    pub const fn __new(name: &'static str) -> Self {
        Self {
            name,
            slot: Slot::new(),
        }
    }

    /// The declared name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn bind(&'static self, cache: Arc<dyn backend::Cache>) {
        self.slot.bind(cache);
    }

    pub(crate) fn bound(&self) -> Result<&dyn backend::Cache> {
        self.slot
            .get()
            .map(|cache| &**cache)
            .ok_or_else(|| Error::not_started("cache", self.name))
    }
}

/// A type that can be a key: a text, an integer, a `bool`, or a struct of them with `#[derive(CacheKey)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a cache key",
    label = "this type is not a cache key",
    note = "use a text, an integer or `bool`, or add `#[derive(CacheKey)]` to a struct of them"
)]
pub trait CacheKey {
    /// The fields, in order; `["key"]` for a basic type.
    const FIELDS: &'static [&'static str];
    /// [`FIELDS`](Self::FIELDS) as a JSON array, for the model.
    const FIELDS_JSON: &'static str;

    /// The values of the fields, in the order of [`FIELDS`](Self::FIELDS).
    fn values(&self) -> Vec<String>;
}

/// A type whose values can be part of a key.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a cache key",
    label = "parts of keys are texts, integers or `bool`"
)]
pub trait KeyPart {
    /// The value as text.
    fn to_part(&self) -> String;
}

macro_rules! key_parts {
    ($($ty:ty)*) => {$(
        impl KeyPart for $ty {
            fn to_part(&self) -> String {
                self.to_string()
            }
        }

        impl CacheKey for $ty {
            const FIELDS: &'static [&'static str] = &["key"];
            const FIELDS_JSON: &'static str = r#"["key"]"#;

            fn values(&self) -> Vec<String> {
                vec![self.to_string()]
            }
        }
    )*};
}

key_parts!(String str bool i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

/// Where the keys of a keyspace are: its cluster and its pattern, read once.
#[doc(hidden)]
pub struct Place {
    cluster: fn() -> &'static CacheCluster,
    pattern: &'static str,
    parsed: OnceLock<std::result::Result<KeyPattern, String>>,
}

impl Place {
    pub const fn __new(cluster: fn() -> &'static CacheCluster, pattern: &'static str) -> Self {
        Self {
            cluster,
            pattern,
            parsed: OnceLock::new(),
        }
    }

    pub(crate) fn cache(&self) -> Result<&dyn backend::Cache> {
        (self.cluster)().bound()
    }

    pub(crate) fn key<Q: CacheKey + ?Sized>(&self, key: &Q) -> Result<String> {
        let pattern = self
            .parsed
            .get_or_init(|| KeyPattern::parse(self.pattern))
            .as_ref()
            .map_err(|error| Error::new(ErrorKind::Configuration, error.clone()))?;
        let values = key.values();
        let of_field = |field: &str| {
            Q::FIELDS
                .iter()
                .position(|it| *it == field)
                .and_then(|index| values.get(index))
        };
        let in_order: Option<Vec<&String>> = pattern.parameters().map(of_field).collect();
        let in_order = in_order.ok_or_else(|| {
            let fields = Q::FIELDS.join("`, `");
            Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "the key has the fields `{fields}`, not those of `{}`",
                    self.pattern
                ),
            )
        })?;
        Ok(pattern.encode(&in_order))
    }
}

/// A value that a keyspace stores.
pub trait CacheValue: Sized + Send {
    /// The value as bytes.
    ///
    /// # Errors
    ///
    /// If it cannot be encoded.
    fn encode(&self) -> Result<Bytes>;

    /// The value from bytes.
    ///
    /// # Errors
    ///
    /// If the bytes are not such a value.
    fn decode(bytes: &[u8]) -> Result<Self>;
}

fn undecodable<T>(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::message(format!(
        "a cached value is not a `{}`",
        std::any::type_name::<T>()
    ))
    .with_source(cause)
}

impl CacheValue for String {
    fn encode(&self) -> Result<Bytes> {
        Ok(Bytes::copy_from_slice(self.as_bytes()))
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        Self::from_utf8(bytes.to_vec()).map_err(undecodable::<Self>)
    }
}

macro_rules! number_values {
    ($($ty:ty)*) => {$(
        impl CacheValue for $ty {
            fn encode(&self) -> Result<Bytes> {
                Ok(self.to_string().into())
            }

            fn decode(bytes: &[u8]) -> Result<Self> {
                let text = std::str::from_utf8(bytes).map_err(undecodable::<Self>)?;
                text.parse().map_err(undecodable::<Self>)
            }
        }
    )*};
}

number_values!(i64 f64);

/// A value that is stored as JSON.
#[doc(hidden)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: Serialize + DeserializeOwned + Send> CacheValue for Json<T> {
    fn encode(&self) -> Result<Bytes> {
        Ok(serde_json::to_vec(&self.0)?.into())
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes)
            .map(Self)
            .map_err(undecodable::<T>)
    }
}
