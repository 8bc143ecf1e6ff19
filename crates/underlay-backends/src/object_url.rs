//! URLs of objects that the development server serves itself: public ones, and signed ones that end.
//!
//! Knows nothing of where the objects lie, nor of HTTP.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;

use crate::{Error, ErrorKind, Result, bucket::SignedMethod, id};

/// The longest time that a signed URL may live.
const MAX_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// All but what RFC 3986, section 2.3, calls unreserved.
const SEGMENT_ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const PATH_ENCODED: &AsciiSet = &SEGMENT_ENCODED.remove(b'/');

/// How a bucket of this process behaves and where its objects can be reached.
#[derive(Debug, Clone, Default)]
pub struct BucketOptions {
    /// Whether older versions are kept.
    pub versioned: bool,
    /// Whether anybody may read the objects by their public URL.
    pub public: bool,
    /// What public URLs begin with; it includes the key prefix if the server behind it needs one.
    pub public_base_url: Option<String>,
    /// What every object's name begins with in the store; callers never see it.
    pub key_prefix: String,
    /// What signed URLs begin with: the URL of the server that checks them by [`verify`].
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

    /// The code over everything that a signed URL allows.
    fn mac(&self, method: SignedMethod, bucket: &str, name: &str, expires: u64) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0)
            .expect("HMAC takes a key of any length");
        let expires = expires.to_string();
        // Each part with its length before it, so that no two sets of parts give the same bytes.
        for part in [
            "underlay object 1",
            method_name(method),
            bucket,
            name,
            &expires,
        ] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

fn method_name(method: SignedMethod) -> &'static str {
    match method {
        SignedMethod::Get => "GET",
        SignedMethod::Put => "PUT",
    }
}

/// The signed URL of an object.
pub(crate) fn sign(
    provider: &'static str,
    bucket: &str,
    options: &BucketOptions,
    name: &str,
    method: SignedMethod,
    expires_in: Duration,
) -> Result<String> {
    let error = |kind, text| Err(Error::new(kind, provider, bucket, text));
    if expires_in < Duration::from_secs(1) || expires_in > MAX_LIFE {
        let text = "sign a URL: it may live from one second to seven days";
        return error(ErrorKind::InvalidArgument, text);
    }
    let (Some(base), Some(key)) = (&options.base_url, &options.signing_key) else {
        let text = "sign a URL: no server checks signed URLs of this bucket; give the store a base URL and a key";
        return error(ErrorKind::Unsupported, text);
    };
    let expires = id::millis(SystemTime::now() + expires_in).div_ceil(1000);
    let signature = hex::encode(
        key.mac(method, bucket, name, expires)
            .finalize()
            .into_bytes(),
    );
    let (base, bucket, name) = (base.trim_end_matches('/'), escape(bucket), escape(name));
    Ok(format!(
        "{base}/__underlay/objects/{bucket}/{name}?expires={expires}&signature={signature}"
    ))
}

/// Checks the parts of a signed URL, all of them decoded; `expires` is the seconds since 1970 in its query.
///
/// # Errors
///
/// `PermissionDenied` when the signature is not for exactly these parts, or the time is over.
pub fn verify(
    key: &SigningKey,
    method: SignedMethod,
    bucket: &str,
    name: &str,
    expires: u64,
    signature: &str,
    now: SystemTime,
) -> Result<()> {
    let denied = |text| {
        Err(Error::new(
            ErrorKind::PermissionDenied,
            "disk",
            bucket,
            text,
        ))
    };
    let mac = key.mac(method, bucket, name, expires);
    // The comparison takes the same time for every wrong signature.
    let matches = hex::decode(signature).is_ok_and(|code| mac.verify_slice(&code).is_ok());
    if !matches {
        return denied("use a signed URL: the signature is not for this method and object");
    }
    if id::millis(now) > expires.saturating_mul(1000) {
        return denied("use a signed URL: its time is over");
    }
    Ok(())
}

/// The public URL of an object.
pub(crate) fn public_url(
    provider: &'static str,
    bucket: &str,
    options: &BucketOptions,
    name: &str,
) -> Result<String> {
    let error = |kind, text| Err(Error::new(kind, provider, bucket, text));
    if !options.public {
        let text = "make a public URL: the bucket is not public";
        return error(ErrorKind::InvalidArgument, text);
    }
    let Some(base) = &options.public_base_url else {
        let text = "make a public URL: the bucket has no public base URL; set `public_base_url`";
        return error(ErrorKind::Unsupported, text);
    };
    Ok(format!("{}/{}", base.trim_end_matches('/'), escape(name)))
}

/// A name as part of a URL's path, percent-encoded, `/` kept.
///
/// In a name with a segment `.` or `..`, which clients would resolve before they ask, `/` is encoded as well.
pub(crate) fn escape(name: &str) -> String {
    let is_resolved = name.split('/').any(|segment| matches!(segment, "." | ".."));
    let encoded = if is_resolved {
        SEGMENT_ENCODED
    } else {
        PATH_ENCODED
    };
    utf8_percent_encode(name, encoded).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped() {
        for (name, expected) in [
            ("a/b c.txt", "a/b%20c.txt"),
            ("ü?#%&+=", "%C3%BC%3F%23%25%26%2B%3D"),
            ("/a//b/", "/a//b/"),
            ("a/../b", "a%2F..%2Fb"),
            ("a/..b/c..", "a/..b/c.."),
            ("AZaz09-._~", "AZaz09-._~"),
        ] {
            assert_eq!(escape(name), expected, "{name}");
        }
    }

    #[test]
    fn signatures_hold_for_their_parts_only() {
        let key = SigningKey::new(*b"key");
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let code = key.mac(SignedMethod::Get, "files", "a", 1000).finalize();
        let signature = hex::encode(code.into_bytes());
        let check = |key: &SigningKey, method, bucket, name, expires, signature: &str, now| {
            verify(key, method, bucket, name, expires, signature, now).is_ok()
        };
        use SignedMethod::{Get, Put};
        assert!(check(&key, Get, "files", "a", 1000, &signature, now));
        assert!(!check(&key, Put, "files", "a", 1000, &signature, now));
        assert!(!check(&key, Get, "file", "sa", 1000, &signature, now));
        assert!(!check(&key, Get, "files", "b", 1000, &signature, now));
        assert!(!check(&key, Get, "files", "a", 1001, &signature, now));
        assert!(!check(&key, Get, "files", "a", 1000, &signature[1..], now));
        assert!(!check(&key, Get, "files", "a", 1000, "zz", now));
        assert!(!check(&key, Get, "files", "a", 1000, "", now));
        let other = SigningKey::new(*b"other");
        assert!(!check(&other, Get, "files", "a", 1000, &signature, now));
        let late = now + Duration::from_millis(1);
        assert!(!check(&key, Get, "files", "a", 1000, &signature, late));
    }

    #[test]
    fn a_key_is_never_shown() {
        assert_eq!(
            format!("{:?}", SigningKey::new(*b"secret")),
            "SigningKey(..)"
        );
    }
}
