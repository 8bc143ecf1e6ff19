//! The cases of lists and sets.

use bytes::Bytes;

use super::{CacheHarness, KEEP, NEVER, bytes, expires_in, list, members, set, values};
use crate::cache::{End, Expiry};

pub(super) async fn push_order(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    assert_eq!(
        cache
            .push("key", End::Left, values(["a", "b"]), NEVER)
            .await
            .expect("push"),
        2
    );
    assert_eq!(
        cache
            .push("key", End::Right, values(["c", "d"]), NEVER)
            .await
            .expect("push"),
        4
    );
    assert_eq!(list(cache, "key").await, values(["b", "a", "c", "d"]));
}

pub(super) async fn push_nothing(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    let unit = harness.clock().unit();
    assert_eq!(
        cache
            .push("key", End::Left, Vec::new(), NEVER)
            .await
            .expect("push"),
        0
    );
    assert_eq!(cache.ttl("key").await.expect("ttl"), None);
    cache
        .push("key", End::Left, values(["a"]), Expiry::In(unit))
        .await
        .expect("push");
    assert_eq!(
        cache
            .push("key", End::Left, Vec::new(), NEVER)
            .await
            .expect("push"),
        1
    );
    assert_eq!(expires_in(cache, "key", unit).await, Some(Some(true)));
}

pub(super) async fn pop_empty(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    assert_eq!(
        cache
            .pop("key", End::Left, Expiry::In(harness.clock().unit()))
            .await
            .expect("pop"),
        None
    );
    assert_eq!(cache.ttl("key").await.expect("ttl"), None);
    cache
        .push("key", End::Left, values(["a"]), NEVER)
        .await
        .expect("push");
    assert_eq!(
        cache.pop("key", End::Right, NEVER).await.expect("pop"),
        Some(bytes("a"))
    );
    assert_eq!(
        cache.ttl("key").await.expect("ttl"),
        None,
        "an empty list does not exist"
    );
    set(cache, "key", "text now", NEVER).await;
}

pub(super) async fn pop_ends(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    cache
        .push("key", End::Right, values(["a", "b", "c"]), NEVER)
        .await
        .expect("push");
    assert_eq!(
        cache.pop("key", End::Left, NEVER).await.expect("pop"),
        Some(bytes("a"))
    );
    assert_eq!(
        cache.pop("key", End::Right, NEVER).await.expect("pop"),
        Some(bytes("c"))
    );
    assert_eq!(list(cache, "key").await, values(["b"]));
}

/// Bounds and what lies between them in `a`, `b`, `c`, `d`.
const BOUNDS: [(i64, i64, &[&str]); 9] = [
    (0, -1, &["a", "b", "c", "d"]),
    (1, 2, &["b", "c"]),
    (-2, -1, &["c", "d"]),
    (-100, 1, &["a", "b"]),
    (2, 100, &["c", "d"]),
    (3, 1, &[]),
    (4, 9, &[]),
    (0, -5, &[]),
    (i64::MIN, i64::MAX, &["a", "b", "c", "d"]),
];

pub(super) async fn range_bounds(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    cache
        .push("key", End::Right, values(["a", "b", "c", "d"]), NEVER)
        .await
        .expect("push");
    for (start, stop, expected) in BOUNDS {
        let found = cache.range("key", start, stop).await.expect("range");
        assert_eq!(found, expected, "{start}..={stop}");
    }
    assert!(list(cache, "missing").await.is_empty());
}

pub(super) async fn trim_bounds(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    for (start, stop, expected) in BOUNDS {
        cache.delete(&["key".to_owned()]).await.expect("delete");
        cache
            .push("key", End::Right, values(["a", "b", "c", "d"]), NEVER)
            .await
            .expect("push");
        cache.trim("key", start, stop, NEVER).await.expect("trim");
        assert_eq!(list(cache, "key").await, expected, "{start}..={stop}");
        let exists = cache.ttl("key").await.expect("ttl").is_some();
        assert_eq!(exists, !expected.is_empty(), "{start}..={stop}");
    }
    cache.trim("missing", 0, -1, NEVER).await.expect("trim");
    assert_eq!(cache.ttl("missing").await.expect("ttl"), None);
}

pub(super) async fn list_len(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    assert_eq!(cache.list_len("key").await.expect("len"), 0);
    cache
        .push("key", End::Right, values(["a", "a"]), NEVER)
        .await
        .expect("push");
    assert_eq!(cache.list_len("key").await.expect("len"), 2);
}

pub(super) async fn add_counts(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    let unit = harness.clock().unit();
    assert_eq!(
        cache
            .add("key", values(["a", "b", "a"]), Expiry::In(unit))
            .await
            .expect("add"),
        2
    );
    assert_eq!(
        cache
            .add("key", values(["b", "c"]), KEEP)
            .await
            .expect("add"),
        1
    );
    assert_eq!(cache.add("key", Vec::new(), NEVER).await.expect("add"), 0);
    assert_eq!(expires_in(cache, "key", unit).await, Some(Some(true)));
    assert_eq!(members(cache, "key").await, values(["a", "b", "c"]));
}

pub(super) async fn remove_counts(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    let unit = harness.clock().unit();
    assert_eq!(
        cache
            .remove("key", values(["a"]), NEVER)
            .await
            .expect("remove"),
        0
    );
    cache
        .add("key", values(["a", "b", "c"]), Expiry::In(unit))
        .await
        .expect("add");
    assert_eq!(
        cache
            .remove("key", Vec::new(), NEVER)
            .await
            .expect("remove"),
        0
    );
    assert_eq!(expires_in(cache, "key", unit).await, Some(Some(true)));
    assert_eq!(
        cache
            .remove("key", values(["a", "a", "x"]), KEEP)
            .await
            .expect("remove"),
        1
    );
    assert_eq!(
        cache
            .remove("key", values(["b", "c"]), KEEP)
            .await
            .expect("remove"),
        2
    );
    assert_eq!(
        cache.ttl("key").await.expect("ttl"),
        None,
        "an empty set does not exist"
    );
}

pub(super) async fn set_reads(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    assert!(members(cache, "key").await.is_empty());
    assert_eq!(cache.set_len("key").await.expect("len"), 0);
    assert!(!cache.contains("key", bytes("a")).await.expect("contains"));
    cache
        .add("key", values(["a", ""]), NEVER)
        .await
        .expect("add");
    assert_eq!(members(cache, "key").await, values(["", "a"]));
    assert_eq!(cache.set_len("key").await.expect("len"), 2);
    assert!(cache.contains("key", Bytes::new()).await.expect("contains"));
    assert!(!cache.contains("key", bytes("b")).await.expect("contains"));
}
