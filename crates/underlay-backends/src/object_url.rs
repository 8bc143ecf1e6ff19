//! URLs of objects that the development server serves itself: public ones, and signed ones that end.
//!
//! Knows nothing of where the objects lie, nor of HTTP.

use std::time::SystemTime;

use crate::bucket::SignedMethod;

/// How a bucket of this process behaves and where its objects can be reached.
#[derive(Debug, Clone, Default)]
pub struct BucketOptions {
    /// Whether older versions are kept.
    pub versioned: bool,
    /// Whether anybody may read the objects by their public URL.
    pub public: bool,
    /// What public URLs begin with, including the key prefix if the server behind it needs one.
    pub public_base_url: Option<String>,
    /// What every object's name begins with in the store; callers never see it.
    pub key_prefix: String,
    /// What signed URLs begin with: the URL of the server that checks them by `verify`.
    pub base_url: Option<String>,
    /// The key that signed URLs are signed with.
    pub signing_key: Option<SigningKey>,
}

/// A key for signed URLs, which no text shows.
#[derive(Clone)]
pub struct SigningKey(Vec<u8>);

impl SigningKey {
    /// A key of these bytes; 32 random ones are enough.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// Checks a signed URL's parts; `expires` is the seconds since 1970 in its query.
///
/// # Errors
///
/// `PermissionDenied` when the signature is wrong or the time is over.
pub fn verify(
    _key: &SigningKey,
    _method: SignedMethod,
    bucket: &str,
    _name: &str,
    _expires: u64,
    _signature: &str,
    _now: SystemTime,
) -> crate::Result<()> {
    Err(crate::Error::new(
        crate::ErrorKind::Unsupported,
        "disk",
        bucket,
        "not built yet",
    ))
}
