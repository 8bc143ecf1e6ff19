//! `#[bucket]`: objects of bytes under names.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::{StreamExt as _, TryStreamExt as _};
use underlay_backends::bucket::{
    self as backend, GetOptions, ListOptions, PutOptions, SignedMethod,
};
pub use underlay_backends::bucket::{Object, Precondition};

use crate::handle::Slot;
use crate::{Error, ErrorKind, Result};

/// A handle of a declared bucket.
///
/// # Example
///
/// ```
/// use underlay::prelude::*;
///
/// #[bucket("user-uploads", versioned)]
/// static UPLOADS: Bucket;
///
/// async fn store(avatar: Vec<u8>) -> underlay::Result<u64> {
///     let object = UPLOADS.upload_with("avatar.png", avatar, Upload { content_type: Some("image/png".into()), ..Upload::default() }).await?;
///     Ok(object.size)
/// }
/// # fn main() {}
/// ```
pub struct Bucket {
    name: &'static str,
    slot: Slot<Arc<dyn backend::Bucket>>,
}

/// How to upload an object.
#[derive(Debug, Clone, Default)]
pub struct Upload {
    /// The content type, such as `image/png`.
    pub content_type: Option<String>,
    /// What must hold; otherwise the upload fails as [`ErrorKind::PreconditionFailed`].
    pub precondition: Option<Precondition>,
}

/// What to download of an object.
#[derive(Debug, Clone, Default)]
pub struct Download {
    /// Only these bytes.
    pub range: Option<Range<u64>>,
    /// This version instead of the latest; only versioned buckets have them.
    pub version: Option<String>,
}

/// Which objects to list: in the order of their names' bytes.
#[derive(Debug, Clone, Default)]
pub struct List {
    /// Only names that start with this.
    pub prefix: String,
    /// Only names after this one.
    pub start_after: Option<String>,
    /// At most so many.
    pub limit: Option<usize>,
}

impl Bucket {
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

    pub(crate) fn bind(&'static self, bucket: Arc<dyn backend::Bucket>) {
        self.slot.bind(bucket);
    }

    pub(crate) fn bound(&self) -> Result<&dyn backend::Bucket> {
        self.slot
            .get()
            .map(|bucket| &**bucket)
            .ok_or_else(|| Error::not_started("bucket", self.name))
    }

    /// Writes an object, replacing an older one of the same name. The body may be a stream.
    ///
    /// # Errors
    ///
    /// A malformed name, a body that fails midway (nothing is written then), or the store's failure.
    pub async fn upload(&self, name: &str, body: impl Into<Body>) -> Result<Object> {
        self.upload_with(name, body, Upload::default()).await
    }

    /// Writes an object with a content type or under a precondition.
    ///
    /// # Errors
    ///
    /// As [`upload`](Self::upload), and [`ErrorKind::PreconditionFailed`].
    pub async fn upload_with(
        &self,
        name: &str,
        body: impl Into<Body>,
        upload: Upload,
    ) -> Result<Object> {
        let bucket = self.name;
        let stream = body.into().into_data_stream().map_err(move |error| {
            underlay_backends::Error::new(
                underlay_backends::ErrorKind::Other,
                "upload",
                bucket,
                "the body of an upload failed midway",
            )
            .with_source(error)
        });
        let options = PutOptions {
            content_type: upload.content_type,
            precondition: upload.precondition,
        };
        Ok(self.bound()?.put(name, stream.boxed(), options).await?)
    }

    /// Reads an object into memory.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] without such an object; otherwise the store's failure.
    pub async fn download(&self, name: &str) -> Result<Bytes> {
        let (_, mut stream) = self.bound()?.get(name, GetOptions::default()).await?;
        let mut bytes = bytes::BytesMut::new();
        while let Some(piece) = stream.try_next().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.freeze())
    }

    /// Reads an object, or part of it, as a body: to send on, or to read piece by piece.
    ///
    /// # Errors
    ///
    /// As [`download`](Self::download); a failure midway is an error of the body.
    pub async fn download_with(&self, name: &str, download: Download) -> Result<(Object, Body)> {
        let options = GetOptions {
            range: download.range,
            version: download.version,
        };
        let (object, stream) = self.bound()?.get(name, options).await?;
        Ok((object, Body::from_stream(stream)))
    }

    /// Whether there is such an object.
    ///
    /// # Errors
    ///
    /// A malformed name, or the store's failure.
    pub async fn exists(&self, name: &str) -> Result<bool> {
        match self.attrs(name).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What is known of an object without its bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] without such an object; otherwise the store's failure.
    pub async fn attrs(&self, name: &str) -> Result<Object> {
        Ok(self.bound()?.head(name, None).await?)
    }

    /// The objects that the options ask for.
    ///
    /// # Errors
    ///
    /// The store's failure; a later one is returned by [`Objects::next`].
    pub async fn list(&self, list: List) -> Result<Objects> {
        let options = ListOptions {
            prefix: list.prefix,
            start_after: list.start_after,
            limit: list.limit,
        };
        Ok(Objects {
            stream: self.bound()?.list(options).await?,
        })
    }

    /// Removes an object. One that does not exist is no error.
    ///
    /// # Errors
    ///
    /// A malformed name, or the store's failure.
    pub async fn remove(&self, name: &str) -> Result<()> {
        Ok(self.bound()?.delete(name, None).await?)
    }

    /// Removes one version of an object, for good.
    ///
    /// # Errors
    ///
    /// A malformed name, or the store's failure.
    pub async fn remove_version(&self, name: &str, version: &str) -> Result<()> {
        Ok(self.bound()?.delete(name, Some(version)).await?)
    }

    /// Copies an object inside the bucket.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] without the source; otherwise the store's failure.
    pub async fn copy(&self, from: &str, to: &str) -> Result<Object> {
        Ok(self.bound()?.copy(from, to).await?)
    }

    /// The URL where anybody reads an object. Only buckets that are declared `public` have one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if the bucket is not public or the name is malformed.
    pub fn public_url(&self, name: &str) -> Result<String> {
        Ok(self.bound()?.public_url(name)?)
    }

    /// A URL that lets anybody write this object by PUT until it expires.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] for more than seven days.
    pub async fn signed_upload_url(&self, name: &str, expires_in: Duration) -> Result<String> {
        Ok(self
            .bound()?
            .sign(name, SignedMethod::Put, expires_in)
            .await?)
    }

    /// A URL that lets anybody read this object by GET until it expires.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] for more than seven days.
    pub async fn signed_download_url(&self, name: &str, expires_in: Duration) -> Result<String> {
        Ok(self
            .bound()?
            .sign(name, SignedMethod::Get, expires_in)
            .await?)
    }
}

/// The objects of a listing, fetched as they are asked for.
pub struct Objects {
    stream: futures_util::stream::BoxStream<'static, underlay_backends::Result<Object>>,
}

impl Objects {
    /// The next object; `None` after the last.
    pub async fn next(&mut self) -> Option<Result<Object>> {
        self.stream
            .next()
            .await
            .map(|object| object.map_err(Error::from))
    }

    /// All objects that are left.
    ///
    /// # Errors
    ///
    /// The store's first failure.
    pub async fn collect(mut self) -> Result<Vec<Object>> {
        let mut objects = Vec::new();
        while let Some(object) = self.next().await {
            objects.push(object?);
        }
        Ok(objects)
    }
}
