//! The provider `disk`: buckets in a directory, for local runs and single machines.

mod bucket;

use std::{path::Path, sync::Arc};

use crate::{Result, bucket::Bucket};

pub use crate::object_url::{BucketOptions, SigningKey, verify};

/// The provider's name.
pub const PROVIDER: &str = "disk";

/// How a [`Store`] writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreOptions {
    /// Whether a put returns only when the object is on the medium, so that it survives a power failure. A killed
    /// process loses nothing either way.
    pub sync: bool,
}

impl Default for StoreOptions {
    /// Synchronous.
    fn default() -> Self {
        Self { sync: true }
    }
}

/// A directory of buckets. Clones share it, and so may several processes.
#[derive(Debug, Clone)]
pub struct Store {
    #[expect(dead_code, reason = "being built")]
    options: StoreOptions,
}

impl Store {
    /// Opens a directory, which is created if it is missing.
    ///
    /// # Errors
    ///
    /// When the directory cannot be created or written.
    pub async fn open(_root: &Path, options: StoreOptions) -> Result<Self> {
        Ok(Self { options })
    }

    /// A bucket of the store, which is created if it is new.
    ///
    /// # Errors
    ///
    /// When the bucket's directory cannot be created or written.
    pub async fn bucket(&self, name: &str, _options: BucketOptions) -> Result<Arc<dyn Bucket>> {
        Ok(Arc::new(bucket::DiskBucket {
            name: name.to_owned(),
        }))
    }
}
