//! The cases of getting and listing objects.

use super::{BucketHarness, get, kind, list, names, put, read};
use crate::{
    ErrorKind,
    bucket::{GetOptions, ListOptions},
};

pub(super) async fn get_missing(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, false).await;
    assert_eq!(
        kind(get(&*test.bucket, "name").await),
        Some(ErrorKind::NotFound)
    );
}

pub(super) async fn get_range(harness: &dyn BucketHarness) {
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

pub(super) async fn get_version(harness: &dyn BucketHarness) {
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

pub(super) async fn version_unversioned(harness: &dyn BucketHarness) {
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

pub(super) async fn head_missing(harness: &dyn BucketHarness) {
    let test = harness.fresh(false, false).await;
    assert_eq!(
        kind(test.bucket.head("name", None).await),
        Some(ErrorKind::NotFound)
    );
}

pub(super) async fn head_same_etag(harness: &dyn BucketHarness) {
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

pub(super) async fn list_prefix(harness: &dyn BucketHarness) {
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

pub(super) async fn list_limit(harness: &dyn BucketHarness) {
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

pub(super) async fn list_start_after(harness: &dyn BucketHarness) {
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

pub(super) async fn list_order(harness: &dyn BucketHarness) {
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
