//! The suite of [`Bucket`].

use std::{any::Any, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    Error, ErrorKind, Result,
    bucket::{
        Bucket, ByteStream, GetOptions, ListOptions, Object, Precondition, PutOptions, SignedMethod,
    },
    capabilities::BucketCapabilities,
    conformance::{Case, cases},
};

/// What the suite needs of a backend of buckets.
#[async_trait]
pub trait BucketHarness: Send + Sync + 'static {
    /// What the backend says that it can do.
    fn capabilities(&self) -> BucketCapabilities;

    /// An empty bucket that nobody else uses.
    async fn fresh(&self, versioned: bool, public: bool) -> BucketUnderTest;

    /// Sends a request to a signed URL, without credentials, and returns the object's bytes (none for a PUT), or the
    /// error that the server's answer means. The provider's own server may be called directly.
    async fn request(&self, bucket: &BucketUnderTest, request: SignedRequest) -> Result<Bytes>;
}

/// A bucket.
pub struct BucketUnderTest {
    /// The bucket.
    pub bucket: Arc<dyn Bucket>,
    /// Whatever must live as long as the bucket.
    pub guard: Box<dyn Any + Send + Sync>,
}

/// A request to a signed URL.
#[derive(Debug, Clone)]
pub struct SignedRequest {
    /// Which method it uses.
    pub method: SignedMethod,
    /// The URL.
    pub url: String,
    /// What it sends.
    pub body: Bytes,
}

/// All cases of the suite for one backend.
pub fn bucket_cases<H: BucketHarness>(harness: H) -> Vec<Case> {
    let harness = Arc::new(harness);
    let capable = harness.capabilities();
    cases![harness,
        put_round_trip;
        put_replaces;
        put_failed_stream;
        put_not_exists;
        put_if_match;
        put_bad_name;
        put_any_name;
        put_while_read;
        get_missing;
        get_range;
        get_version if capable.versioning, "versions";
        version_unversioned;
        head_missing;
        head_same_etag;
        list_prefix;
        list_limit;
        list_start_after;
        list_order;
        delete_gone;
        delete_missing;
        delete_version if capable.versioning, "versions";
        delete_keeps_versions if capable.versioning, "versions";
        copy_same;
        sign_too_long if capable.signed_urls, "signed URLs";
        sign_get if capable.signed_urls, "signed URLs";
        sign_put if capable.signed_urls, "signed URLs";
        public_url_private;
        public_url_escaped;
    ]
}

/// A stream of one piece.
fn body(bytes: impl Into<Bytes>) -> ByteStream {
    stream::iter([Ok(bytes.into())]).boxed()
}

async fn put(bucket: &dyn Bucket, name: &str, bytes: impl Into<Bytes>) -> Object {
    bucket
        .put(name, body(bytes), PutOptions::default())
        .await
        .expect("put")
}

async fn read(stream: ByteStream) -> Result<Bytes> {
    let pieces: Vec<Bytes> = stream.try_collect().await?;
    Ok(Bytes::from(pieces.concat()))
}

async fn get(bucket: &dyn Bucket, name: &str) -> Result<Bytes> {
    let (_, stream) = bucket.get(name, GetOptions::default()).await?;
    read(stream).await
}

async fn list(bucket: &dyn Bucket, options: ListOptions) -> Vec<Object> {
    bucket
        .list(options)
        .await
        .expect("list")
        .try_collect()
        .await
        .expect("list")
}

async fn names(bucket: &dyn Bucket, options: ListOptions) -> Vec<String> {
    list(bucket, options)
        .await
        .into_iter()
        .map(|object| object.name)
        .collect()
}

fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

async fn put_round_trip(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, false).await;
    let bucket = &*test.bucket;
    for (content_type, size, piece) in [
        (None, 0, 1),
        (Some("text/plain"), 1, 1),
        (Some("a/b; c=ü"), 5_000_000, 70_001),
    ] {
        let bytes: Vec<u8> = (0..=255).cycle().take(size).collect();
        let pieces: Vec<Result<Bytes>> = bytes
            .chunks(piece)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect();
        let options = PutOptions {
            content_type: content_type.map(str::to_owned),
            precondition: None,
        };
        let object = bucket
            .put("name", stream::iter(pieces).boxed(), options)
            .await
            .expect("put");
        let (found, stream) = bucket
            .get("name", GetOptions::default())
            .await
            .expect("get");
        assert_eq!(found, object);
        assert_eq!((found.name.as_str(), found.size), ("name", size as u64));
        assert_eq!(found.content_type.as_deref(), content_type);
        assert!(
            read(stream).await.expect("get") == bytes,
            "other bytes of {size}"
        );
    }
}

async fn put_replaces(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, false).await;
    let bucket = &*test.bucket;
    let first = put(bucket, "name", "a longer first content").await;
    let second = put(bucket, "name", "second").await;
    assert_ne!(first.etag, second.etag);
    assert_eq!(get(bucket, "name").await.expect("get"), "second");
    assert_eq!(list(bucket, ListOptions::default()).await, [second]);
}

async fn put_failed_stream(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, false).await;
    let bucket = &*test.bucket;
    put(bucket, "old", "old").await;
    for name in ["old", "new"] {
        let broken = Error::new(ErrorKind::Other, "test", "stream", "break");
        let pieces = [Ok(Bytes::from(vec![b'x'; 3_000_000])), Err(broken)];
        let result = bucket
            .put(name, stream::iter(pieces).boxed(), PutOptions::default())
            .await;
        assert!(result.is_err());
    }
    assert_eq!(get(bucket, "old").await.expect("get"), "old");
    assert_eq!(names(bucket, ListOptions::default()).await, ["old"]);
}

async fn put_not_exists(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, false).await;
    let options = PutOptions {
        content_type: None,
        precondition: Some(Precondition::NotExists),
    };
    let racing: Vec<_> = (0..8)
        .map(|number| {
            let (bucket, options) = (Arc::clone(&test.bucket), options.clone());
            tokio::spawn(
                async move { bucket.put("name", body(format!("{number}")), options).await },
            )
        })
        .collect();
    let mut winner = None;
    for (number, task) in racing.into_iter().enumerate() {
        match task.await.expect("no panic") {
            Ok(_) => assert!(winner.replace(number).is_none(), "two succeeded"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::PreconditionFailed),
        }
    }
    let winner = winner.expect("one succeeds").to_string();
    assert_eq!(get(&*test.bucket, "name").await.expect("get"), winner);
    test.bucket.delete("name", None).await.expect("delete");
    test.bucket
        .put("name", body("again"), options)
        .await
        .expect("put after delete");
}

async fn put_if_match(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, false).await;
    let bucket = &*test.bucket;
    let if_match = |etag: &str| PutOptions {
        content_type: None,
        precondition: Some(Precondition::IfMatch(etag.to_owned())),
    };
    let failed = Some(ErrorKind::PreconditionFailed);
    assert_eq!(
        kind(bucket.put("name", body("one"), if_match("any")).await),
        failed
    );
    let one = put(bucket, "name", "one").await;
    let two = bucket
        .put("name", body("two"), if_match(&one.etag))
        .await
        .expect("put");
    assert_eq!(
        kind(bucket.put("name", body("three"), if_match(&one.etag)).await),
        failed
    );
    assert_eq!(get(bucket, "name").await.expect("get"), "two");
    bucket
        .put("name", body("three"), if_match(&two.etag))
        .await
        .expect("put");
}

async fn put_bad_name(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, true).await;
    let bucket = &*test.bucket;
    let refused = Some(ErrorKind::InvalidArgument);
    for name in ["", "a\0b", &"x".repeat(1025), &"ü".repeat(513)] {
        assert_eq!(
            kind(bucket.put(name, body("x"), PutOptions::default()).await),
            refused,
            "{name:?}"
        );
        assert_eq!(
            kind(bucket.get(name, GetOptions::default()).await),
            refused,
            "{name:?}"
        );
        assert_eq!(kind(bucket.head(name, None).await), refused, "{name:?}");
        assert_eq!(kind(bucket.delete(name, None).await), refused, "{name:?}");
        assert_eq!(kind(bucket.copy(name, "to").await), refused, "{name:?}");
        assert_eq!(kind(bucket.copy("from", name).await), refused, "{name:?}");
        let signed = bucket
            .sign(name, SignedMethod::Get, Duration::from_secs(60))
            .await;
        assert_eq!(kind(signed), refused, "{name:?}");
        assert_eq!(kind(bucket.public_url(name)), refused, "{name:?}");
    }
}

/// Names that a file system, a URL or a listing could get wrong, in the order of their bytes.
fn strange_names() -> Vec<String> {
    let mut names: Vec<String> = [
        "..",
        "../x",
        ".",
        "/",
        "//",
        "/etc/passwd",
        "a",
        "A",
        "a/",
        "a//b",
        "a/../b",
        "a/b",
        "a/b/c",
        "a-b",
        "a.b",
        "a b",
        "a%2fb",
        "a+b",
        "a?b#c&d=e",
        "a\\b",
        "a:b",
        "a~b",
        "a@b",
        "a\nb",
        "con",
        "nul.txt",
        "trailing.",
        "trailing ",
        "ü",
        "u\u{308}",
        "😀",
    ]
    .map(str::to_owned)
    .into();
    names.extend([
        "x".repeat(1024),
        "X".repeat(1024),
        format!("{}y", "x".repeat(1023)),
        "é".repeat(512),
    ]);
    names.push("d/".repeat(512));
    names.sort();
    names
}

async fn put_any_name(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, false).await;
    let bucket = &*test.bucket;
    let strange = strange_names();
    for name in &strange {
        put(bucket, name, format!("content of {name}")).await;
    }
    assert_eq!(names(bucket, ListOptions::default()).await, strange);
    for name in &strange {
        assert_eq!(
            get(bucket, name).await.expect("get"),
            format!("content of {name}")
        );
        bucket.delete(name, None).await.expect("delete");
    }
    assert!(list(bucket, ListOptions::default()).await.is_empty());
}

async fn put_while_read(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, false).await;
    let bucket = &*test.bucket;
    let (old, new) = (vec![b'o'; 2_000_000], vec![b'n'; 1_000_000]);
    put(bucket, "name", old.clone()).await;
    let (_, mut stream) = bucket
        .get("name", GetOptions::default())
        .await
        .expect("get");
    let first = stream.next().await.expect("a piece").expect("get");
    put(bucket, "name", new.clone()).await;
    let rest = read(stream).await.expect("get");
    assert!([first, rest].concat() == old, "not the old bytes");
    assert!(
        get(bucket, "name").await.expect("get") == new,
        "not the new bytes"
    );
}

async fn get_missing(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, false).await;
    assert_eq!(
        kind(get(&*test.bucket, "name").await),
        Some(ErrorKind::NotFound)
    );
}

async fn get_range(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, false).await;
    let bucket = &*test.bucket;
    put(bucket, "name", "0123456789").await;
    put(bucket, "empty", "").await;
    let get = async |name, range| {
        let options = GetOptions {
            range: Some(range),
            version: None,
        };
        let (object, stream) = bucket.get(name, options).await?;
        assert_eq!(object.size, 10);
        read(stream).await
    };
    for (range, expected) in [
        (0..10, "0123456789"),
        (0..1, "0"),
        (3..5, "34"),
        (9..10, "9"),
        (8..100, "89"),
        (5..u64::MAX, "56789"),
    ] {
        assert_eq!(get("name", range).await.expect("get"), expected);
    }
    #[expect(clippy::reversed_empty_ranges, reason = "a caller may compute one")]
    for range in [10..11, 100..200, 3..3, 5..3] {
        assert_eq!(
            kind(get("name", range).await),
            Some(ErrorKind::InvalidArgument)
        );
    }
    assert_eq!(
        kind(get("empty", 0..1).await),
        Some(ErrorKind::InvalidArgument)
    );
}

async fn get_version(harness: &dyn BucketHarness) {
    let test = harness.fresh(true, false).await;
    let bucket = &*test.bucket;
    let mut objects = Vec::new();
    for content in ["one", "two", "three"] {
        objects.push((put(bucket, "name", content).await, content));
    }
    for (object, content) in &objects {
        assert!(object.version.is_some());
        let options = GetOptions {
            range: None,
            version: object.version.clone(),
        };
        let (found, stream) = bucket.get("name", options).await.expect("get");
        assert_eq!(found, *object);
        assert_eq!(read(stream).await.expect("get"), content);
        let version = object.version.as_deref();
        assert_eq!(bucket.head("name", version).await.expect("head"), *object);
    }
    assert_eq!(get(bucket, "name").await.expect("get"), "three");
    let unknown = objects[0]
        .0
        .version
        .clone()
        .expect("a version")
        .replace(char::is_alphanumeric, "0");
    for (name, version) in [
        ("name", unknown),
        ("other", objects[0].0.version.clone().expect("a version")),
    ] {
        let options = GetOptions {
            range: None,
            version: Some(version.clone()),
        };
        assert_eq!(
            kind(bucket.get(name, options).await),
            Some(ErrorKind::NotFound)
        );
        assert_eq!(
            kind(bucket.head(name, Some(&version)).await),
            Some(ErrorKind::NotFound)
        );
    }
}

async fn version_unversioned(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, false).await;
    let bucket = &*test.bucket;
    assert_eq!(put(bucket, "name", "one").await.version, None);
    let refused = Some(ErrorKind::InvalidArgument);
    let options = GetOptions {
        range: None,
        version: Some("1".to_owned()),
    };
    assert_eq!(kind(bucket.get("name", options).await), refused);
    assert_eq!(kind(bucket.head("name", Some("1")).await), refused);
    assert_eq!(kind(bucket.delete("name", Some("1")).await), refused);
    assert_eq!(get(bucket, "name").await.expect("get"), "one");
}

async fn head_missing(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, false).await;
    assert_eq!(
        kind(test.bucket.head("name", None).await),
        Some(ErrorKind::NotFound)
    );
}

async fn head_same_etag(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, false).await;
    let bucket = &*test.bucket;
    let object = put(bucket, "name", "content").await;
    assert!(!object.etag.is_empty() && !object.etag.contains('"'));
    let (found, _) = bucket
        .get("name", GetOptions::default())
        .await
        .expect("get");
    let head = bucket.head("name", None).await.expect("head");
    let listed = list(bucket, ListOptions::default()).await.remove(0);
    assert_eq!([&found.etag, &head.etag, &listed.etag], [&object.etag; 3]);
}

async fn list_prefix(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, false).await;
    let bucket = &*test.bucket;
    for name in ["a", "a/1", "a/2", "ab", "b"] {
        put(bucket, name, name.to_owned()).await;
    }
    for (prefix, expected) in [
        ("", &["a", "a/1", "a/2", "ab", "b"][..]),
        ("a", &["a", "a/1", "a/2", "ab"]),
        ("a/", &["a/1", "a/2"]),
        ("b", &["b"]),
        ("c", &[]),
        ("A", &[]),
    ] {
        let options = ListOptions {
            prefix: prefix.to_owned(),
            ..ListOptions::default()
        };
        assert_eq!(names(bucket, options).await, expected, "{prefix}");
    }
}

async fn list_limit(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, false).await;
    let bucket = &*test.bucket;
    for number in 0..5 {
        put(bucket, &format!("{number}"), "x").await;
    }
    for limit in [0, 1, 4, 5, 100] {
        let options = ListOptions {
            limit: Some(limit),
            ..ListOptions::default()
        };
        assert_eq!(
            names(bucket, options).await,
            ["0", "1", "2", "3", "4"][..limit.min(5)]
        );
    }
}

async fn list_start_after(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, false).await;
    let bucket = &*test.bucket;
    for name in ["a/1", "a/2", "a/3", "b"] {
        put(bucket, name, "x").await;
    }
    for (prefix, after, expected) in [
        ("", "a/1", &["a/2", "a/3", "b"][..]),
        ("", "a/11", &["a/2", "a/3", "b"]),
        ("", "b", &[]),
        ("a/", "a/2", &["a/3"]),
        ("a/", "0", &["a/1", "a/2", "a/3"]),
        ("a/", "z", &[]),
    ] {
        let options = ListOptions {
            prefix: prefix.to_owned(),
            start_after: Some(after.to_owned()),
            limit: None,
        };
        assert_eq!(
            names(bucket, options).await,
            expected,
            "{prefix} after {after}"
        );
    }
    let mut pages = Vec::new();
    let mut start_after = None;
    loop {
        let options = ListOptions {
            limit: Some(3),
            start_after,
            ..ListOptions::default()
        };
        let page = names(bucket, options).await;
        let Some(last) = page.last() else { break };
        start_after = Some(last.clone());
        pages.push(page);
    }
    assert_eq!(pages, [vec!["a/1", "a/2", "a/3"], vec!["b"]]);
}

async fn list_order(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, false).await;
    let bucket = &*test.bucket;
    let mut expected: Vec<String> = (0..150)
        .map(|number| format!("n{}", number * 7919 % 1000))
        .collect();
    expected.extend(["a/b", "a-b", "a.b", "a0b", "B", "é", "z", "~"].map(str::to_owned));
    for name in &expected {
        put(bucket, name, "x").await;
    }
    expected.sort();
    assert_eq!(names(bucket, ListOptions::default()).await, expected);
}

async fn delete_gone(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, false).await;
    let bucket = &*test.bucket;
    put(bucket, "name", "x").await;
    put(bucket, "other", "x").await;
    bucket.delete("name", None).await.expect("delete");
    assert_eq!(kind(get(bucket, "name").await), Some(ErrorKind::NotFound));
    assert_eq!(
        kind(bucket.head("name", None).await),
        Some(ErrorKind::NotFound)
    );
    assert_eq!(names(bucket, ListOptions::default()).await, ["other"]);
}

async fn delete_missing(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, false).await;
    test.bucket.delete("name", None).await.expect("delete");
}

async fn delete_version(harness: &dyn BucketHarness) {
    let test = harness.fresh(true, false).await;
    let bucket = &*test.bucket;
    let one = put(bucket, "name", "one").await;
    let two = put(bucket, "name", "two").await;
    bucket
        .delete("name", one.version.as_deref())
        .await
        .expect("delete");
    bucket
        .delete("name", one.version.as_deref())
        .await
        .expect("delete again");
    let gone = bucket.head("name", one.version.as_deref()).await;
    assert_eq!(kind(gone), Some(ErrorKind::NotFound));
    assert_eq!(bucket.head("name", None).await.expect("head"), two);
    assert_eq!(get(bucket, "name").await.expect("get"), "two");
}

async fn delete_keeps_versions(harness: &dyn BucketHarness) {
    let test = harness.fresh(true, false).await;
    let bucket = &*test.bucket;
    let one = put(bucket, "name", "one").await;
    bucket.delete("name", None).await.expect("delete");
    assert_eq!(kind(get(bucket, "name").await), Some(ErrorKind::NotFound));
    assert!(list(bucket, ListOptions::default()).await.is_empty());
    let options = GetOptions {
        range: None,
        version: one.version.clone(),
    };
    let (_, stream) = bucket.get("name", options).await.expect("get");
    assert_eq!(read(stream).await.expect("get"), "one");
    let not_exists = PutOptions {
        content_type: None,
        precondition: Some(Precondition::NotExists),
    };
    let two = bucket
        .put("name", body("two"), not_exists)
        .await
        .expect("put");
    assert_ne!(one.version, two.version);
    assert_eq!(get(bucket, "name").await.expect("get"), "two");
}

async fn copy_same(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, false).await;
    let bucket = &*test.bucket;
    let options = PutOptions {
        content_type: Some("text/x-test".to_owned()),
        precondition: None,
    };
    bucket
        .put("from", body("content"), options)
        .await
        .expect("put");
    put(bucket, "taken", "other").await;
    for to in ["to", "taken", "from"] {
        let copy = bucket.copy("from", to).await.expect("copy");
        let (found, stream) = bucket.get(to, GetOptions::default()).await.expect("get");
        assert_eq!(found, copy);
        assert_eq!((found.name.as_str(), found.size), (to, 7));
        assert_eq!(found.content_type.as_deref(), Some("text/x-test"));
        assert_eq!(read(stream).await.expect("get"), "content");
    }
    assert_eq!(get(bucket, "from").await.expect("get"), "content");
    assert_eq!(
        kind(bucket.copy("missing", "to").await),
        Some(ErrorKind::NotFound)
    );
}

async fn sign_too_long(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, false).await;
    let week = Duration::from_secs(7 * 24 * 3600);
    for method in [SignedMethod::Get, SignedMethod::Put] {
        for life in [
            week + Duration::from_secs(1),
            Duration::from_millis(999),
            Duration::MAX,
        ] {
            let signed = test.bucket.sign("name", method, life).await;
            assert_eq!(kind(signed), Some(ErrorKind::InvalidArgument));
        }
        test.bucket
            .sign("name", method, week)
            .await
            .expect("a week is allowed");
    }
}

/// Signs for one object and method, and checks that the URL works for nothing else.
async fn check_signed(harness: &dyn BucketHarness, name: &str, method: SignedMethod) {
    let test = harness.fresh(false, false).await;
    let bucket = &*test.bucket;
    put(bucket, name, "old").await;
    put(bucket, "other", "other").await;
    let url = bucket
        .sign(name, method, Duration::from_secs(600))
        .await
        .expect("sign");
    let other = bucket
        .sign("other", method, Duration::from_secs(600))
        .await
        .expect("sign");
    let request = |method, url: &str| SignedRequest {
        method,
        url: url.to_owned(),
        body: Bytes::from_static(b"new"),
    };
    let wrong_method = match method {
        SignedMethod::Get => SignedMethod::Put,
        SignedMethod::Put => SignedMethod::Get,
    };
    let denied = Some(ErrorKind::PermissionDenied);
    assert_eq!(
        kind(harness.request(&test, request(wrong_method, &url)).await),
        denied
    );
    let (path, _) = url.split_once('?').expect("a query");
    let (_, query) = other.split_once('?').expect("a query");
    let mixed = harness
        .request(&test, request(method, &format!("{path}?{query}")))
        .await;
    assert_eq!(kind(mixed), denied, "the signature of another object");
    assert_eq!(get(bucket, name).await.expect("get"), "old");
    let answer = harness
        .request(&test, request(method, &url))
        .await
        .expect("a signed request");
    match method {
        SignedMethod::Get => assert_eq!(answer, "old"),
        SignedMethod::Put => assert_eq!(get(bucket, name).await.expect("get"), "new"),
    }
}

async fn sign_get(harness: &dyn BucketHarness) {
    for name in ["a/b c?ü&d=e%.txt", "a/../b", "plain"] {
        check_signed(harness, name, SignedMethod::Get).await;
    }
}

async fn sign_put(harness: &dyn BucketHarness) {
    for name in ["a/b c?ü&d=e%.txt", "a/../b", "plain"] {
        check_signed(harness, name, SignedMethod::Put).await;
    }
}

async fn public_url_private(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, false).await;
    assert_eq!(
        kind(test.bucket.public_url("name")),
        Some(ErrorKind::InvalidArgument)
    );
}

async fn public_url_escaped(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, true).await;
    for (name, end) in [
        ("a/b.txt", "/a/b.txt"),
        ("a b?ü#", "/a%20b%3F%C3%BC%23"),
        ("100%", "/100%25"),
        ("a/../b", "/a%2F..%2Fb"),
    ] {
        let url = test.bucket.public_url(name).expect("public URL");
        assert!(url.ends_with(end), "{url} for {name}");
    }
}
