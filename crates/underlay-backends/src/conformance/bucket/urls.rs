//! The cases of signed and public URLs.

use std::time::Duration;

use bytes::Bytes;

use super::{BucketHarness, SignedRequest, get, kind, put};
use crate::{ErrorKind, bucket::SignedMethod};

pub(super) async fn sign_too_long(harness: &dyn BucketHarness) {
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
pub(super) async fn check_signed(harness: &dyn BucketHarness, name: &str, method: SignedMethod) {
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

pub(super) async fn sign_get(harness: &dyn BucketHarness) {
    for name in ["a/b c?ü&d=e%.txt", "a/../b", "plain"] {
        check_signed(harness, name, SignedMethod::Get).await;
    }
}

pub(super) async fn sign_put(harness: &dyn BucketHarness) {
    for name in ["a/b c?ü&d=e%.txt", "a/../b", "plain"] {
        check_signed(harness, name, SignedMethod::Put).await;
    }
}

pub(super) async fn public_url_private(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, false).await;
    assert_eq!(
        kind(test.bucket.public_url("name")),
        Some(ErrorKind::InvalidArgument)
    );
}

pub(super) async fn public_url_escaped(harness: &dyn BucketHarness) {
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
