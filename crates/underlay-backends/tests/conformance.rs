//! Runs every conformance suite on every provider that is compiled in, one test per bullet.
//!
//! Knows the providers; the suites do not.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a failure is a panic, and its text for people"
)]

mod support;

use std::{collections::BTreeSet, path::Path, process::ExitCode, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;
use underlay_backends::{
    Error, ErrorKind, Result,
    bucket::{GetOptions, PutOptions, SignedMethod},
    capabilities::{
        BucketCapabilities, CacheCapabilities, Capabilities, TopicCapabilities, backends,
    },
    conformance::{
        BucketHarness, BucketUnderTest, CacheHarness, CacheUnderTest, Case, Clock, SignedRequest,
        TopicHarness, TopicUnderTest, bucket_cases, cache_cases, topic_cases,
    },
    disk::{self, BucketOptions, SigningKey, Store, StoreOptions},
    memory::{
        self, Broker, CacheOptions, FileOptions, MemoryBucket, MemoryCache, SubscriptionOptions,
        TopicOptions,
    },
};

/// Every suite on every provider: its name, and its cases.
fn suites() -> [(&'static str, Vec<Case>); 7] {
    let file = |options| topic_cases(BrokerHarness(Some(options)));
    let disk = |key_prefix| bucket_cases(DiskHarness { key_prefix });
    [
        ("topic::memory", topic_cases(BrokerHarness(None))),
        ("topic::memory_file", file(FileOptions::default())),
        // Nothing is kept in memory: every message is read back.
        (
            "topic::memory_file_cold",
            file(FileOptions { memory_budget: 0 }),
        ),
        ("cache::memory", cache_cases(MemoryCacheHarness)),
        ("bucket::memory", bucket_cases(MemoryBucketHarness)),
        ("bucket::disk", disk("")),
        ("bucket::disk_prefix", disk("some/Prefix-")),
    ]
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = vec![
        Trial::test("bullets::topic", || {
            every_bullet_has_a_case("topic", include_str!("../src/topic.rs"))
        }),
        Trial::test("bullets::bucket", || {
            every_bullet_has_a_case("bucket", include_str!("../src/bucket.rs"))
        }),
        Trial::test("bullets::cache", || {
            every_bullet_has_a_case("cache", include_str!("../src/cache.rs"))
        }),
        Trial::test("capabilities::all_are_listed", all_backends_are_listed),
    ];
    for (suite, cases) in suites() {
        let cases = cases.into_iter();
        trials.extend(cases.filter_map(|case| support::trial(suite, Clock::Paused, case)));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The bullets of a trait's documentation are the cases of its suite.
fn every_bullet_has_a_case(suite: &str, source: &str) -> std::result::Result<(), Failed> {
    let mut bullets = BTreeSet::new();
    for line in source.lines() {
        let Some(mut rest) = line.trim_start().strip_prefix("/// - `") else {
            continue;
        };
        while let Some((name, after)) = rest.split_once('`') {
            bullets.insert(name.to_owned());
            match after.strip_prefix(", `") {
                Some(next) => rest = next,
                None => break,
            }
        }
    }
    let prefix = format!("{suite}::");
    let of_it = suites()
        .into_iter()
        .filter(|(name, _)| name.starts_with(&prefix));
    let mut checked = 0;
    for (_, cases) in of_it {
        let cases: BTreeSet<String> = cases.iter().map(|case| case.name.to_owned()).collect();
        let missing: Vec<_> = bullets.symmetric_difference(&cases).collect();
        if !missing.is_empty() {
            return Err(Failed::from(format!(
                "bullets without a case, or the other way round: {missing:?}"
            )));
        }
        checked += 1;
    }
    if checked == 0 {
        Err(Failed::from("no suite"))
    } else {
        Ok(())
    }
}

/// What docs/backends.md is made of holds each backend, and each with all of its rows.
fn all_backends_are_listed() -> std::result::Result<(), Failed> {
    let listed: Vec<_> = backends()
        .iter()
        .map(|backend| {
            (
                backend.capabilities.primitive(),
                backend.provider,
                backend.variant,
            )
        })
        .collect();
    let mut expected = vec![
        ("bucket", "disk", None),
        ("bucket", "memory", None),
        ("cache", "memory", None),
        ("topic", "memory", Some("in memory")),
        ("topic", "memory", Some("with a file")),
    ];
    let features = [
        ("aws_sns_sqs", cfg!(feature = "aws-sns-sqs")),
        ("gcp_pubsub", cfg!(feature = "gcp-pubsub")),
        ("nats", cfg!(feature = "nats")),
    ];
    let compiled_in = features.into_iter().filter(|(_, is_there)| *is_there);
    expected.extend(compiled_in.map(|(provider, _)| ("topic", provider, None)));
    // As `backends` does; it keeps the variants of one provider as that lists them.
    expected.sort_by_key(|(primitive, provider, _)| (*primitive, *provider));
    assert_eq!(listed, expected);
    assert!(
        backends()
            .iter()
            .all(|backend| backend.capabilities.rows().len() >= 3)
    );
    assert!(backends().iter().any(|backend| matches!(
        backend.capabilities,
        Capabilities::Topic(TopicCapabilities {
            persistent: true,
            ..
        })
    )));
    Ok(())
}

/// The broker: in memory, or with a file in a directory of its own.
struct BrokerHarness(Option<FileOptions>);

#[async_trait]
impl TopicHarness for BrokerHarness {
    fn capabilities(&self) -> TopicCapabilities {
        match self.0 {
            None => memory::TOPIC_IN_MEMORY,
            Some(_) => memory::TOPIC_WITH_FILE,
        }
    }

    fn clock(&self) -> Clock {
        Clock::Paused
    }

    async fn fresh(&self, options: TopicOptions, subscriptions: &[&str]) -> TopicUnderTest {
        let declared: Vec<(&str, &str)> =
            subscriptions.iter().map(|name| ("topic", *name)).collect();
        let directory = TempDir::new().unwrap();
        let broker = match self.0 {
            None => Broker::in_memory(),
            Some(file) => open(&directory.path().join("broker.redb"), &declared, file).await,
        };
        let topic = broker.topic("topic", options).unwrap();
        let subscribe = |name: &&str| {
            broker
                .subscription("topic", name, SubscriptionOptions::default())
                .unwrap()
        };
        let subscriptions = subscriptions.iter().map(subscribe).collect();
        TopicUnderTest {
            topic,
            subscriptions,
            guard: Box::new((broker, directory)),
        }
    }
}

async fn open(path: &Path, declared: &[(&str, &str)], options: FileOptions) -> Broker {
    let (broker, removed) = Broker::open_with(path, declared, options).await.unwrap();
    assert!(removed.is_empty());
    broker
}

struct MemoryCacheHarness;

#[async_trait]
impl CacheHarness for MemoryCacheHarness {
    fn capabilities(&self) -> CacheCapabilities {
        memory::CACHE
    }

    fn clock(&self) -> Clock {
        Clock::Paused
    }

    async fn fresh(&self) -> CacheUnderTest {
        let cache = Arc::new(MemoryCache::new("test", CacheOptions::default()));
        CacheUnderTest {
            cache,
            guard: Box::new(()),
        }
    }
}

const BASE: &str = "http://127.0.0.1:1";

fn signing_key() -> SigningKey {
    SigningKey::new(*b"a key of the tests")
}

fn options(versioned: bool, public: bool, key_prefix: &str) -> BucketOptions {
    BucketOptions {
        versioned,
        public,
        public_base_url: public.then(|| "http://127.0.0.1:1/public/".to_owned()),
        key_prefix: key_prefix.to_owned(),
        base_url: Some(BASE.to_owned()),
        signing_key: Some(signing_key()),
    }
}

struct MemoryBucketHarness;

#[async_trait]
impl BucketHarness for MemoryBucketHarness {
    fn capabilities(&self) -> BucketCapabilities {
        memory::BUCKET
    }

    async fn fresh(&self, versioned: bool, public: bool) -> BucketUnderTest {
        let bucket = Arc::new(MemoryBucket::new("test", options(versioned, public, "")));
        BucketUnderTest {
            bucket,
            guard: Box::new(()),
        }
    }

    async fn request(&self, test: &BucketUnderTest, request: SignedRequest) -> Result<Bytes> {
        serve(test, request).await
    }
}

struct DiskHarness {
    key_prefix: &'static str,
}

#[async_trait]
impl BucketHarness for DiskHarness {
    fn capabilities(&self) -> BucketCapabilities {
        disk::BUCKET
    }

    async fn fresh(&self, versioned: bool, public: bool) -> BucketUnderTest {
        let directory = TempDir::new().unwrap();
        let store = Store::open(directory.path(), StoreOptions { sync: false })
            .await
            .unwrap();
        let bucket = store
            .bucket("test", options(versioned, public, self.key_prefix))
            .await
            .unwrap();
        BucketUnderTest {
            bucket,
            guard: Box::new(directory),
        }
    }

    async fn request(&self, test: &BucketUnderTest, request: SignedRequest) -> Result<Bytes> {
        serve(test, request).await
    }
}

/// What the development server does with a signed URL.
async fn serve(test: &BucketUnderTest, request: SignedRequest) -> Result<Bytes> {
    let SignedRequest { method, url, body } = request;
    let path = url
        .strip_prefix(BASE)
        .and_then(|path| path.strip_prefix("/__underlay/objects/"));
    let (path, query) = path.and_then(|path| path.split_once('?')).unwrap();
    let (bucket, name) = path.split_once('/').unwrap();
    let parameter = |key: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .filter(|(name, _)| *name == key)
            .map(|(_, value)| value)
            .next()
            .unwrap()
    };
    let expires = parameter("expires").parse().unwrap();
    let name = decode(name);
    disk::verify(
        &signing_key(),
        method,
        bucket,
        &name,
        expires,
        parameter("signature"),
        SystemTime::now(),
    )?;
    match method {
        SignedMethod::Get => {
            let (_, stream) = test.bucket.get(&name, GetOptions::default()).await?;
            let pieces: Vec<Bytes> = stream.try_collect().await?;
            Ok(Bytes::from(pieces.concat()))
        }
        SignedMethod::Put => {
            test.bucket
                .put(
                    &name,
                    stream::iter([Ok(body)]).boxed(),
                    PutOptions::default(),
                )
                .await?;
            Ok(Bytes::new())
        }
    }
}

/// What an HTTP server makes of a path.
fn decode(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first == b'%' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&rest[..2]).unwrap(), 16).unwrap());
            rest = &rest[2..];
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes)
        .map_err(|_| Error::new(ErrorKind::Other, "test", "url", "decode"))
        .unwrap()
}
