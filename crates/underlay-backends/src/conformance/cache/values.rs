//! The cases of single values.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::sleep;

use super::{CacheHarness, KEEP, NEVER, bytes, expires_in, get, set, values};
use crate::cache::{Condition, End, Expiry};

pub(super) async fn get_order(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    set(cache, "a", "1", NEVER).await;
    set(cache, "b", "2", NEVER).await;
    let keys = ["b", "missing", "a", "b"].map(str::to_owned);
    let found = cache.get(&keys).await.expect("get");
    assert_eq!(
        found,
        [Some(bytes("2")), None, Some(bytes("1")), Some(bytes("2"))]
    );
    assert!(cache.get(&[]).await.expect("get").is_empty());
}

pub(super) async fn get_expired(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    let unit = harness.clock().unit();
    set(cache, "key", "1", Expiry::In(unit)).await;
    assert_eq!(get(cache, "key").await, Some(bytes("1")));
    sleep(unit + Duration::from_millis(1)).await;
    assert_eq!(get(cache, "key").await, None);
    assert_eq!(cache.ttl("key").await.expect("ttl"), None);
    assert_eq!(cache.delete(&["key".to_owned()]).await.expect("delete"), 0);
    assert!(
        cache
            .set("key", bytes("2"), KEEP, Condition::IfAbsent)
            .await
            .expect("set")
    );
    assert_eq!(
        cache.ttl("key").await.expect("ttl"),
        Some(None),
        "a new key has no old expiry"
    );
}

pub(super) async fn get_bytes(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    let all: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    for value in [
        Bytes::new(),
        Bytes::from_static(b"\0\r\n\xff"),
        Bytes::from(all),
    ] {
        assert!(
            cache
                .set("key", value.clone(), NEVER, Condition::Always)
                .await
                .expect("set")
        );
        assert!(get(cache, "key").await == Some(value));
    }
}

pub(super) async fn set_if_absent(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    assert!(
        cache
            .set("key", bytes("1"), NEVER, Condition::IfAbsent)
            .await
            .expect("set")
    );
    assert!(
        !cache
            .set("key", bytes("2"), NEVER, Condition::IfAbsent)
            .await
            .expect("set")
    );
    assert_eq!(get(cache, "key").await, Some(bytes("1")));
    cache.add("set", values(["1"]), NEVER).await.expect("add");
    assert!(
        !cache
            .set("set", bytes("2"), NEVER, Condition::IfAbsent)
            .await
            .expect("set")
    );
}

pub(super) async fn set_if_present(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    assert!(
        !cache
            .set("key", bytes("1"), NEVER, Condition::IfPresent)
            .await
            .expect("set")
    );
    assert_eq!(get(cache, "key").await, None);
    set(cache, "key", "1", NEVER).await;
    assert!(
        cache
            .set("key", bytes("2"), NEVER, Condition::IfPresent)
            .await
            .expect("set")
    );
    assert_eq!(get(cache, "key").await, Some(bytes("2")));
}

pub(super) async fn set_expiry(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    let (short, long) = (harness.clock().unit(), harness.clock().unit() * 100);
    set(cache, "key", "1", Expiry::In(short)).await;
    set(cache, "key", "2", Expiry::In(long)).await;
    assert_eq!(expires_in(cache, "key", long).await, Some(Some(true)));
    set(cache, "key", "3", KEEP).await;
    assert_eq!(expires_in(cache, "key", long).await, Some(Some(true)));
    set(cache, "key", "4", NEVER).await;
    assert_eq!(cache.ttl("key").await.expect("ttl"), Some(None));
    set(cache, "key", "5", KEEP).await;
    assert_eq!(cache.ttl("key").await.expect("ttl"), Some(None));
    sleep(short + Duration::from_millis(1)).await;
    assert_eq!(get(cache, "key").await, Some(bytes("5")));
}

pub(super) async fn set_any_type(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    cache
        .push("list", End::Left, values(["1"]), NEVER)
        .await
        .expect("push");
    cache.add("set", values(["1"]), NEVER).await.expect("add");
    for key in ["list", "set"] {
        set(cache, key, "text", NEVER).await;
        assert_eq!(get(cache, key).await, Some(bytes("text")));
    }
}

pub(super) async fn get_and_set(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    assert_eq!(
        cache
            .get_and_set("key", bytes("1"), NEVER)
            .await
            .expect("set"),
        None
    );
    assert_eq!(
        cache
            .get_and_set("key", bytes("2"), NEVER)
            .await
            .expect("set"),
        Some(bytes("1"))
    );
    assert_eq!(get(cache, "key").await, Some(bytes("2")));
}

pub(super) async fn get_and_delete(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    assert_eq!(cache.get_and_delete("key").await.expect("delete"), None);
    set(cache, "key", "1", NEVER).await;
    assert_eq!(
        cache.get_and_delete("key").await.expect("delete"),
        Some(bytes("1"))
    );
    assert_eq!(get(cache, "key").await, None);
}

pub(super) async fn delete_counts(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    set(cache, "text", "1", NEVER).await;
    cache
        .push("list", End::Left, values(["1"]), NEVER)
        .await
        .expect("push");
    cache.add("set", values(["1"]), NEVER).await.expect("add");
    let keys = ["text", "list", "set", "missing", "text"].map(str::to_owned);
    assert_eq!(cache.delete(&keys).await.expect("delete"), 3);
    assert_eq!(cache.delete(&keys).await.expect("delete"), 0);
    assert_eq!(cache.delete(&[]).await.expect("delete"), 0);
}

pub(super) async fn append(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    assert_eq!(
        cache
            .append("key", bytes("Grü"), NEVER)
            .await
            .expect("append"),
        4
    );
    let held = get(cache, "key").await;
    assert_eq!(
        cache
            .append("key", bytes("ße"), NEVER)
            .await
            .expect("append"),
        7
    );
    assert_eq!(get(cache, "key").await, Some(bytes("Grüße")));
    assert_eq!(
        held,
        Some(bytes("Grü")),
        "what was read before stays as it was"
    );
}

pub(super) async fn ttl(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    let unit = harness.clock().unit();
    assert_eq!(cache.ttl("key").await.expect("ttl"), None);
    set(cache, "key", "1", Expiry::In(unit * 2)).await;
    let first = cache
        .ttl("key")
        .await
        .expect("ttl")
        .flatten()
        .expect("an expiry");
    assert!(first <= unit * 2);
    sleep(unit).await;
    assert_eq!(get(cache, "key").await, Some(bytes("1")));
    let second = cache
        .ttl("key")
        .await
        .expect("ttl")
        .flatten()
        .expect("an expiry");
    assert!(second <= first - unit);
}
