//! The cases of putting, deleting and copying objects.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use super::{BucketHarness, body, get, kind, list, names, put, read};
use crate::{
    Error, ErrorKind, Result,
    bucket::{GetOptions, ListOptions, Precondition, PutOptions, SignedMethod},
};

pub(super) async fn put_round_trip(harness: &dyn BucketHarness) {
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

pub(super) async fn put_replaces(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, false).await;
    let bucket = &*test.bucket;
    let first = put(bucket, "name", "a longer first content").await;
    let second = put(bucket, "name", "second").await;
    assert_ne!(first.etag, second.etag);
    assert_eq!(get(bucket, "name").await.expect("get"), "second");
    assert_eq!(list(bucket, ListOptions::default()).await, [second]);
}

pub(super) async fn put_failed_stream(harness: &dyn BucketHarness) {
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

pub(super) async fn put_not_exists(harness: &dyn BucketHarness) {
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

pub(super) async fn put_if_match(harness: &dyn BucketHarness) {
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

pub(super) async fn put_bad_name(harness: &dyn BucketHarness) {
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

pub(super) async fn put_any_name(harness: &dyn BucketHarness) {
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

pub(super) async fn put_while_read(harness: &dyn BucketHarness) {
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

pub(super) async fn delete_gone(harness: &dyn BucketHarness) {
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

pub(super) async fn delete_missing(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, false).await;
    test.bucket.delete("name", None).await.expect("delete");
}

pub(super) async fn delete_version(harness: &dyn BucketHarness) {
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

pub(super) async fn delete_keeps_versions(harness: &dyn BucketHarness) {
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

pub(super) async fn copy_same(harness: &dyn BucketHarness) {
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
