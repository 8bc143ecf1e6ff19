//! The suite of [`Cache`].

mod lists_and_sets;
mod numbers;
mod values;

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

use self::{
    lists_and_sets::{
        add_counts, list_len, pop_empty, pop_ends, push_nothing, push_order, range_bounds,
        remove_counts, set_reads, trim_bounds,
    },
    numbers::{
        increment_atomic, increment_float, increment_float_not_a_number, increment_not_a_number,
        increment_overflow, increment_text,
    },
    values::{
        append, delete_counts, get_and_delete, get_and_set, get_bytes, get_expired, get_order,
        set_any_type, set_expiry, set_if_absent, set_if_present, ttl,
    },
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
