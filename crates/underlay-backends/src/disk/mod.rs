//! The provider `disk`: buckets in a directory, for local runs and single machines.
//!
//! ```text
//! <root>/<bucket>/meta/<name>@.json          what is known of the object: its versions, newest first
//! <root>/<bucket>/data/<name>@<version>      the bytes of one version, which never change
//! <root>/<bucket>/tmp/                       uploads under way
//! <root>/<bucket>/lock                       held while an object changes
//! ```
//!
//! An object exists when its JSON file does, and that is the last one written and replaced by a rename: whoever reads
//! sees the old object or the new one. Knows nothing of HTTP; the server that answers signed URLs calls [`verify`].

mod bucket;
mod directory;
mod file_name;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    Error, ErrorKind, Result,
    bucket::Bucket,
    capabilities::{Backend, BucketCapabilities, Capabilities},
    disk::{bucket::DiskBucket, directory::Directory},
};

pub use crate::object_url::{BucketOptions, SigningKey, verify};

/// The provider's name.
pub const PROVIDER: &str = "disk";

/// What a bucket on disk can do.
pub const BUCKET: BucketCapabilities = BucketCapabilities {
    versioning: true,
    signed_urls: true,
    persistent: true,
    max_object_bytes: None,
};

/// This provider's backends.
pub(crate) const BACKENDS: [Backend; 1] = [Backend {
    provider: PROVIDER,
    variant: None,
    capabilities: Capabilities::Bucket(BUCKET),
}];

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
    root: PathBuf,
    options: StoreOptions,
}

impl Store {
    /// Opens a directory, which is created if it is missing.
    ///
    /// # Errors
    ///
    /// When the directory cannot be created.
    pub async fn open(root: &Path, options: StoreOptions) -> Result<Self> {
        let root = root.to_path_buf();
        blocking("the store", move || {
            fs::create_dir_all(&root)
                .map_err(|error| failed(error, "the store", "create", &root))?;
            Ok(Self { root, options })
        })
        .await
    }

    /// A bucket of the store, which is created if it is new. What a crash left half done is removed.
    ///
    /// # Errors
    ///
    /// When the bucket's directory cannot be created or read.
    pub async fn bucket(&self, name: &str, options: BucketOptions) -> Result<Arc<dyn Bucket>> {
        let (name, sync) = (name.to_owned(), self.options.sync);
        let path = self.root.join(file_name::stem(&name));
        let bucket = name.clone();
        let versioned = options.versioned;
        let directory = blocking(&name, move || {
            Directory::open(path, bucket, versioned, sync)
        })
        .await?;
        Ok(Arc::new(DiskBucket::new(
            name,
            Arc::new(directory),
            options,
        )))
    }
}

/// Runs file operations where they do not hold up the runtime.
async fn blocking<R: Send + 'static>(
    bucket: &str,
    work: impl FnOnce() -> Result<R> + Send + 'static,
) -> Result<R> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| {
            let text = "use the store: the runtime is shutting down, or a file operation panicked";
            Err(Error::new(ErrorKind::Other, PROVIDER, bucket, text).with_source(error))
        })
}

/// The error of a file operation.
fn failed(error: std::io::Error, bucket: &str, action: &str, path: &Path) -> Error {
    let kind = match error.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            ErrorKind::PermissionDenied
        }
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::Full,
        _ => ErrorKind::Other,
    };
    let text = format!("{action} `{}`: {error}", path.display());
    Error::new(kind, PROVIDER, bucket, text).with_source(error)
}
