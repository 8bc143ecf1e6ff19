//! Buckets: named objects of bytes with a content type and an ETag.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::Result;

/// The bytes of an object, piece by piece.
pub type ByteStream = BoxStream<'static, Result<Bytes>>;

/// What is known of an object without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The object's name, without any prefix of the store's.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its ETag, without quotes; it changes whenever the content does.
    pub etag: String,
    /// Its content type, if one was given.
    pub content_type: Option<String>,
    /// Its version, where the bucket is versioned.
    pub version: Option<String>,
    /// When it was written.
    pub modified: SystemTime,
}

/// How to put an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PutOptions {
    /// The content type.
    pub content_type: Option<String>,
    /// Only if this holds.
    pub precondition: Option<Precondition>,
}

/// What must hold for a put to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// There is no object of that name.
    NotExists,
    /// The object has this ETag.
    IfMatch(String),
}

/// How to get an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GetOptions {
    /// Only these bytes.
    pub range: Option<Range<u64>>,
    /// This version instead of the latest.
    pub version: Option<String>,
}

/// Which objects to list. Objects come in the order of their names' bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// Only names that start with this.
    pub prefix: String,
    /// Only names after this one.
    pub start_after: Option<String>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// What a signed URL allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedMethod {
    /// Reading the object by GET.
    Get,
    /// Writing the object by PUT.
    Put,
}

/// One bucket.
///
/// An object's name is 1 to 1024 bytes of UTF-8 without NUL; `/` has no meaning besides listing, and no name can
/// reach outside the bucket. Every method refuses another name as `InvalidArgument`.
#[async_trait]
pub trait Bucket: Send + Sync + 'static {
    /// Writes an object from a stream.
    ///
    /// # Behavior
    ///
    /// - `put_round_trip`: the object that `get` returns has the same bytes and content type.
    /// - `put_replaces` an object of the same name, whole: a reader sees the old or the new one, never a mixture.
    /// - `put_failed_stream`: when the stream fails nothing is written, and an older object stays.
    /// - `put_not_exists`: with `NotExists` an existing object makes it fail as `PreconditionFailed`; of two at once,
    ///   one succeeds.
    /// - `put_if_match`: with `IfMatch` another ETag, or no object, makes it fail as `PreconditionFailed`.
    /// - `put_bad_name`: an empty name, one over 1024 bytes or one with NUL is `InvalidArgument`.
    /// - `put_any_name`: `..`, a leading `/`, names that differ in case only, one that is another's directory, and a
    ///   single segment of 1024 bytes are names like others.
    /// - `put_while_read`: a stream that was opened before the object was replaced still gives the old bytes.
    async fn put(&self, name: &str, body: ByteStream, options: PutOptions) -> Result<Object>;

    /// Reads an object as a stream.
    ///
    /// # Behavior
    ///
    /// - `get_missing`: no such object is `NotFound`.
    /// - `get_range`: only the bytes of the range; a range past the end is cut; one that starts at or past the end, or
    ///   has no bytes, is `InvalidArgument`. The object's size is the whole one.
    /// - `get_version`: on a versioned bucket an older version is returned; an unknown one is `NotFound`.
    /// - `version_unversioned`: on a bucket without versions, asking for one is `InvalidArgument`, here, in `head` and
    ///   in `delete`.
    async fn get(&self, name: &str, options: GetOptions) -> Result<(Object, ByteStream)>;

    /// What is known of an object.
    ///
    /// # Behavior
    ///
    /// - `head_missing`: no such object is `NotFound`.
    /// - `head_same_etag`: `put`, `get`, `head` and `list` give one ETag, without quotes.
    async fn head(&self, name: &str, version: Option<&str>) -> Result<Object>;

    /// The objects of the bucket, in the order of their names.
    ///
    /// # Behavior
    ///
    /// - `list_prefix`, `list_limit`, `list_start_after`: as the options say.
    /// - `list_order`: by the bytes of the names.
    async fn list(&self, options: ListOptions) -> Result<BoxStream<'static, Result<Object>>>;

    /// Removes an object.
    ///
    /// # Behavior
    ///
    /// - `delete_gone`: it is not found afterwards.
    /// - `delete_missing`: no such object is no error.
    /// - `delete_version`: with a version only that version goes.
    /// - `delete_keeps_versions`: on a versioned bucket the versions of a deleted object can still be read.
    async fn delete(&self, name: &str, version: Option<&str>) -> Result<()>;

    /// Copies an object inside the bucket.
    ///
    /// # Behavior
    ///
    /// - `copy_same` bytes and content type, replacing what is there; `NotFound` without a source.
    async fn copy(&self, from: &str, to: &str) -> Result<Object>;

    /// A URL that allows one method on one object until it expires.
    ///
    /// # Behavior
    ///
    /// - `sign_too_long`: more than seven days, or less than a second, is `InvalidArgument`.
    /// - `sign_get`, `sign_put`: the URL works without credentials, for its method and object only.
    async fn sign(&self, name: &str, method: SignedMethod, expires_in: Duration) -> Result<String>;

    /// The URL where anybody reads an object of a public bucket.
    ///
    /// # Behavior
    ///
    /// - `public_url_private`: `InvalidArgument` when the bucket is not public.
    /// - `public_url_escaped`: the name is percent-encoded, `/` kept. (In a name with a segment `.` or `..`, which
    ///   clients resolve before they ask, `/` is encoded as well.)
    fn public_url(&self, name: &str) -> Result<String>;
}
