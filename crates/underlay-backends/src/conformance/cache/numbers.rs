//! The cases of counting.

use std::sync::Arc;

use super::{CacheHarness, NEVER, bytes, get, kind, set};
use crate::ErrorKind;

pub(super) async fn increment_atomic(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let cache = Arc::clone(&test.cache);
            tokio::spawn(async move {
                for _ in 0..50 {
                    cache.increment("key", 3, NEVER).await.expect("increment");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    assert_eq!(
        test.cache
            .increment("key", 0, NEVER)
            .await
            .expect("increment"),
        3000
    );
}

pub(super) async fn increment_overflow(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    for (start, by) in [(i64::MAX, 1), (i64::MIN, -1), (1, i64::MAX), (-2, i64::MIN)] {
        set(cache, "key", &start.to_string(), NEVER).await;
        let result = cache.increment("key", by, NEVER).await;
        assert_eq!(
            kind(result),
            Some(ErrorKind::InvalidArgument),
            "{start} + {by}"
        );
        assert_eq!(get(cache, "key").await, Some(bytes(&start.to_string())));
    }
    set(cache, "key", "-1", NEVER).await;
    assert_eq!(
        cache
            .increment("key", i64::MIN + 1, NEVER)
            .await
            .expect("increment"),
        i64::MIN
    );
    assert_eq!(
        cache
            .increment("key", i64::MAX, NEVER)
            .await
            .expect("increment"),
        -1
    );
}

pub(super) async fn increment_not_a_number(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    for text in [
        "",
        "x",
        " 1",
        "1 ",
        "+1",
        "01",
        "1.0",
        "9223372036854775808",
    ] {
        set(cache, "key", text, NEVER).await;
        let result = cache.increment("key", 1, NEVER).await;
        assert_eq!(kind(result), Some(ErrorKind::WrongType), "{text:?}");
        assert_eq!(get(cache, "key").await, Some(bytes(text)));
    }
}

pub(super) async fn increment_text(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    assert_eq!(
        cache.increment("key", 41, NEVER).await.expect("increment"),
        41
    );
    assert_eq!(
        cache.increment("key", -50, NEVER).await.expect("increment"),
        -9
    );
    assert_eq!(get(cache, "key").await, Some(bytes("-9")));
    assert_eq!(
        cache
            .increment_float("key", 0.5, NEVER)
            .await
            .expect("increment"),
        -8.5
    );
}

pub(super) async fn increment_float(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    for (text, by, expected) in [
        (None, 10.5, "10.5"),
        (Some("0.1"), 0.2, "0.3"),
        (Some("10.50"), 0.1, "10.6"),
        (Some("5.0e3"), 200.0, "5200"),
        (Some("3"), -3.0, "0"),
        (Some("-0.5"), 0.25, "-0.25"),
    ] {
        cache.delete(&["key".to_owned()]).await.expect("delete");
        if let Some(text) = text {
            set(cache, "key", text, NEVER).await;
        }
        let sum = cache
            .increment_float("key", by, NEVER)
            .await
            .expect("increment");
        assert_eq!(sum.to_string(), expected, "{text:?} + {by}");
        assert_eq!(
            get(cache, "key").await,
            Some(bytes(expected)),
            "{text:?} + {by}"
        );
    }
}

pub(super) async fn increment_float_not_a_number(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    for text in ["", "x", " 1", "1x"] {
        set(cache, "key", text, NEVER).await;
        let result = cache.increment_float("key", 1.0, NEVER).await;
        assert_eq!(kind(result), Some(ErrorKind::WrongType), "{text:?}");
        assert_eq!(get(cache, "key").await, Some(bytes(text)));
    }
    set(cache, "key", "1", NEVER).await;
    for by in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let result = cache.increment_float("key", by, NEVER).await;
        assert_eq!(kind(result), Some(ErrorKind::InvalidArgument), "{by}");
        assert_eq!(get(cache, "key").await, Some(bytes("1")));
    }
}
