//! The suite of [`Cache`].

use std::{any::Any, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::sleep;

use crate::{
    ErrorKind, Result,
    cache::{Cache, Condition, End, Expiry},
    capabilities::CacheCapabilities,
    conformance::{Case, Clock, cases},
};

/// What the suite needs of a backend of caches.
#[async_trait]
pub trait CacheHarness: Send + Sync + 'static {
    /// What the backend says that it can do.
    fn capabilities(&self) -> CacheCapabilities;

    /// Which time expiries follow.
    fn clock(&self) -> Clock;

    /// A cache without keys that nobody else uses.
    async fn fresh(&self) -> CacheUnderTest;
}

/// A cache.
pub struct CacheUnderTest {
    /// The cache.
    pub cache: Arc<dyn Cache>,
    /// Whatever must live as long as the cache.
    pub guard: Box<dyn Any + Send + Sync>,
}

/// All cases of the suite for one backend.
pub fn cache_cases<H: CacheHarness>(harness: H) -> Vec<Case> {
    let harness = Arc::new(harness);
    cases![harness,
        write_expiry;
        expiry_bounds;
        wrong_type;
        get_order;
        get_expired;
        get_bytes;
        set_if_absent;
        set_if_present;
        set_expiry;
        set_any_type;
        get_and_set;
        get_and_delete;
        delete_counts;
        increment_atomic;
        increment_overflow;
        increment_not_a_number;
        increment_text;
        increment_float;
        increment_float_not_a_number;
        append;
        ttl;
        push_order;
        push_nothing;
        pop_empty;
        pop_ends;
        range_bounds;
        trim_bounds;
        list_len;
        add_counts;
        remove_counts;
        set_reads;
    ]
}

const KEEP: Expiry = Expiry::Keep;
const NEVER: Expiry = Expiry::Never;

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn values<const N: usize>(texts: [&str; N]) -> Vec<Bytes> {
    texts.map(bytes).into()
}

fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

async fn get(cache: &dyn Cache, key: &str) -> Option<Bytes> {
    cache.get(&[key.to_owned()]).await.expect("get").remove(0)
}

async fn set(cache: &dyn Cache, key: &str, value: &str, expiry: Expiry) {
    assert!(
        cache
            .set(key, bytes(value), expiry, Condition::Always)
            .await
            .expect("set")
    );
}

async fn list(cache: &dyn Cache, key: &str) -> Vec<Bytes> {
    cache.range(key, 0, -1).await.expect("range")
}

async fn members(cache: &dyn Cache, key: &str) -> Vec<Bytes> {
    let mut members = cache.members(key).await.expect("members");
    members.sort();
    members
}

/// `Some(None)`: never; `Some(Some(true))`: within the time, and later than half of it.
async fn expires_in(cache: &dyn Cache, key: &str, time: Duration) -> Option<Option<bool>> {
    let ttl = cache.ttl(key).await.expect("ttl");
    ttl.map(|ttl| ttl.map(|ttl| ttl > time / 2 && ttl <= time))
}

/// Every write, by number, on a key that holds what the write needs. Returns `None` past the last one.
async fn write(cache: &dyn Cache, number: usize, key: &str, expiry: Expiry) -> Option<Result<()>> {
    let value = bytes("1");
    Some(match number {
        0 => cache
            .set(key, value, expiry, Condition::Always)
            .await
            .map(drop),
        1 => cache
            .set(key, value, expiry, Condition::IfPresent)
            .await
            .map(drop),
        2 => cache.get_and_set(key, value, expiry).await.map(drop),
        3 => cache.increment(key, 1, expiry).await.map(drop),
        4 => cache.increment_float(key, 0.5, expiry).await.map(drop),
        5 => cache.append(key, value, expiry).await.map(drop),
        6 => cache
            .push(key, End::Left, vec![value], expiry)
            .await
            .map(drop),
        7 => cache.pop(key, End::Right, expiry).await.map(drop),
        8 => cache.trim(key, 0, 1, expiry).await,
        9 => cache.add(key, vec![value], expiry).await.map(drop),
        10 => cache.remove(key, vec![bytes("b")], expiry).await.map(drop),
        _ => return None,
    })
}

/// Makes a key as a write needs it, with an expiry.
async fn prepare(cache: &dyn Cache, number: usize, key: &str, expiry: Expiry) {
    match number {
        0..=5 => set(cache, key, "1", expiry).await,
        6..=8 => {
            cache
                .push(key, End::Right, values(["a", "b", "c"]), expiry)
                .await
                .expect("push");
        }
        _ => {
            cache
                .add(key, values(["a", "b", "c"]), expiry)
                .await
                .expect("add");
        }
    }
}

async fn write_expiry(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    let (short, long) = (harness.clock().unit(), harness.clock().unit() * 100);
    let mut writes = 0;
    for number in 0.. {
        let key = format!("key-{number}");
        let key = key.as_str();
        prepare(cache, number, key, Expiry::In(short)).await;
        let Some(kept) = write(cache, number, key, KEEP).await else {
            break;
        };
        kept.expect("write");
        assert_eq!(
            expires_in(cache, key, short).await,
            Some(Some(true)),
            "write {number}: keep"
        );
        write(cache, number, key, Expiry::In(long))
            .await
            .expect("a write")
            .expect("write");
        assert_eq!(
            expires_in(cache, key, long).await,
            Some(Some(true)),
            "write {number}: in"
        );
        cache.delete(&[key.to_owned()]).await.expect("delete");
        prepare(cache, number, key, Expiry::In(short)).await;
        write(cache, number, key, NEVER)
            .await
            .expect("a write")
            .expect("write");
        assert_eq!(
            cache.ttl(key).await.expect("ttl"),
            Some(None),
            "write {number}: never"
        );
        cache.delete(&[key.to_owned()]).await.expect("delete");
        writes += 1;
    }
    assert_eq!(writes, 11);
    set(cache, "key", "x", Expiry::In(short)).await;
    assert!(cache.increment("key", 1, NEVER).await.is_err());
    assert!(
        !cache
            .set("key", bytes("y"), NEVER, Condition::IfAbsent)
            .await
            .expect("set")
    );
    assert!(
        cache
            .push("key", End::Left, values(["y"]), NEVER)
            .await
            .is_err()
    );
    assert_eq!(expires_in(cache, "key", short).await, Some(Some(true)));
}

async fn expiry_bounds(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    for number in 0..11 {
        let key = format!("key-{number}");
        for time in [Duration::ZERO, Duration::from_micros(999)] {
            let result = write(cache, number, &key, Expiry::In(time))
                .await
                .expect("a write");
            assert_eq!(
                kind(result),
                Some(ErrorKind::InvalidArgument),
                "write {number}"
            );
        }
        assert_eq!(cache.ttl(&key).await.expect("ttl"), None, "write {number}");
    }
    set(cache, "key", "x", Expiry::In(Duration::from_millis(1))).await;
    sleep(Duration::from_millis(2)).await;
    assert_eq!(get(cache, "key").await, None);
}

async fn wrong_type(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    let wrong = Some(ErrorKind::WrongType);
    set(cache, "text", "1", NEVER).await;
    cache
        .push("list", End::Right, values(["1"]), NEVER)
        .await
        .expect("push");
    cache.add("set", values(["1"]), NEVER).await.expect("add");
    for key in ["list", "set"] {
        assert_eq!(
            kind(cache.get(&["text".to_owned(), key.to_owned()]).await),
            wrong
        );
        assert_eq!(kind(cache.get_and_set(key, bytes("x"), NEVER).await), wrong);
        assert_eq!(kind(cache.get_and_delete(key).await), wrong);
        assert_eq!(kind(cache.increment(key, 1, NEVER).await), wrong);
        assert_eq!(kind(cache.increment_float(key, 1.0, NEVER).await), wrong);
        assert_eq!(kind(cache.append(key, bytes("x"), NEVER).await), wrong);
    }
    for key in ["text", "set"] {
        assert_eq!(
            kind(cache.push(key, End::Left, values(["x"]), NEVER).await),
            wrong
        );
        assert_eq!(kind(cache.pop(key, End::Left, NEVER).await), wrong);
        assert_eq!(kind(cache.range(key, 0, -1).await), wrong);
        assert_eq!(kind(cache.trim(key, 1, 0, NEVER).await), wrong);
        assert_eq!(kind(cache.list_len(key).await), wrong);
    }
    for key in ["text", "list"] {
        assert_eq!(kind(cache.add(key, values(["x"]), NEVER).await), wrong);
        assert_eq!(kind(cache.remove(key, values(["1"]), NEVER).await), wrong);
        assert_eq!(kind(cache.contains(key, bytes("1")).await), wrong);
        assert_eq!(kind(cache.members(key).await), wrong);
        assert_eq!(kind(cache.set_len(key).await), wrong);
    }
    assert_eq!(get(cache, "text").await, Some(bytes("1")));
    assert_eq!(list(cache, "list").await, values(["1"]));
    assert_eq!(members(cache, "set").await, values(["1"]));
}

async fn get_order(harness: &dyn CacheHarness) {
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

async fn get_expired(harness: &dyn CacheHarness) {
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

async fn get_bytes(harness: &dyn CacheHarness) {
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

async fn set_if_absent(harness: &dyn CacheHarness) {
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

async fn set_if_present(harness: &dyn CacheHarness) {
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

async fn set_expiry(harness: &dyn CacheHarness) {
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

async fn set_any_type(harness: &dyn CacheHarness) {
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

async fn get_and_set(harness: &dyn CacheHarness) {
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

async fn get_and_delete(harness: &dyn CacheHarness) {
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

async fn delete_counts(harness: &dyn CacheHarness) {
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

async fn increment_atomic(harness: &dyn CacheHarness) {
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

async fn increment_overflow(harness: &dyn CacheHarness) {
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

async fn increment_not_a_number(harness: &dyn CacheHarness) {
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

async fn increment_text(harness: &dyn CacheHarness) {
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

async fn increment_float(harness: &dyn CacheHarness) {
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

async fn increment_float_not_a_number(harness: &dyn CacheHarness) {
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

async fn append(harness: &dyn CacheHarness) {
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

async fn ttl(harness: &dyn CacheHarness) {
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

async fn push_order(harness: &dyn CacheHarness) {
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

async fn push_nothing(harness: &dyn CacheHarness) {
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

async fn pop_empty(harness: &dyn CacheHarness) {
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

async fn pop_ends(harness: &dyn CacheHarness) {
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

async fn range_bounds(harness: &dyn CacheHarness) {
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

async fn trim_bounds(harness: &dyn CacheHarness) {
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

async fn list_len(harness: &dyn CacheHarness) {
    let test = harness.fresh().await;
    let cache = &*test.cache;
    assert_eq!(cache.list_len("key").await.expect("len"), 0);
    cache
        .push("key", End::Right, values(["a", "a"]), NEVER)
        .await
        .expect("push");
    assert_eq!(cache.list_len("key").await.expect("len"), 2);
}

async fn add_counts(harness: &dyn CacheHarness) {
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

async fn remove_counts(harness: &dyn CacheHarness) {
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

async fn set_reads(harness: &dyn CacheHarness) {
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
