//! From the infra config to backends: the only place that knows providers by name.
//!
//! Everything that can be wrong is gathered: fields that this version cannot honour, servers that do not answer.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use underlay_backends::bucket::Bucket;
use underlay_backends::cache::Cache;
use underlay_backends::disk::{BucketOptions, SigningKey, Store, StoreOptions};
use underlay_backends::memory::{CacheOptions, MemoryBucket, MemoryCache};
use underlay_backends::topic::{Broker, Subscription, Topic};
use underlay_model::infra::ObjectStorage;
use underlay_model::{InfraConfig, Model};

use crate::push::Pushes;
#[cfg(feature = "postgres")]
use crate::sql;

mod pubsub;

/// How long connecting to everything may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(30);

/// Everything that the statics are bound to, by declared name.
pub(crate) struct Backends {
    /// Not yet migrated.
    #[cfg(feature = "postgres")]
    pub(crate) databases: Vec<sql::Opened>,
    pub(crate) topics: BTreeMap<String, Arc<dyn Topic>>,
    /// The largest message that a topic's broker takes, where there is one.
    pub(crate) max_message_bytes: BTreeMap<String, u64>,
    /// By topic and subscription.
    pub(crate) subscriptions: BTreeMap<(String, String), Arc<dyn Subscription>>,
    pub(crate) buckets: BTreeMap<String, Arc<dyn Bucket>>,
    pub(crate) caches: BTreeMap<String, Arc<dyn Cache>>,
    pub(crate) secrets: BTreeMap<String, String>,
    /// What answers the messages that brokers push.
    pub(crate) pushes: Pushes,
    /// Brokers that have something to write when the application stops.
    pub(crate) brokers: Vec<Arc<dyn Broker>>,
    /// What signs and checks the URLs of objects that this process serves.
    pub(crate) signing_key: SigningKey,
}

/// Connects to everything that the model declares, all at once.
///
/// `base_url` is where this application is reached, for the URLs of objects that it serves itself.
///
/// # Errors
///
/// Every field that cannot be honoured and every server that cannot be used, one sentence each.
pub(crate) async fn connect(
    config: &InfraConfig,
    model: &Model,
    base_url: &str,
) -> Result<Backends, Vec<String>> {
    let mut problems = unsupported(config);
    if !problems.is_empty() {
        return Err(problems);
    }
    let signing_key = SigningKey::new(rand::random::<[u8; 32]>());
    let deadline = Instant::now() + CONNECT_DEADLINE;
    let databases = async {
        #[cfg(feature = "postgres")]
        return sql::connect(config, model, deadline).await;
        #[cfg(not(feature = "postgres"))]
        return Ok::<(), Vec<String>>(());
    };
    let (databases, pubsub, buckets) = tokio::join!(
        databases,
        pubsub::connect(config, model, base_url, deadline),
        connect_buckets(config, model, base_url, &signing_key),
    );
    let databases = databases.map_err(|errors| problems.extend(errors));
    let pubsub = pubsub.map_err(|errors| problems.extend(errors));
    let buckets = buckets.map_err(|errors| problems.extend(errors));
    let (Ok(databases), Ok(pubsub), Ok(buckets)) = (databases, pubsub, buckets) else {
        return Err(problems);
    };
    #[cfg(not(feature = "postgres"))]
    let () = databases;
    let mut backends = Backends {
        #[cfg(feature = "postgres")]
        databases,
        topics: BTreeMap::new(),
        max_message_bytes: BTreeMap::new(),
        subscriptions: BTreeMap::new(),
        buckets,
        caches: connect_caches(config, model),
        secrets: config
            .secrets
            .iter()
            .map(|(name, value)| (name.clone(), value.expose().to_owned()))
            .collect(),
        pushes: Pushes::new(),
        brokers: Vec::new(),
        signing_key,
    };
    for connected in pubsub {
        if let Some(bytes) = connected.broker.capabilities().max_message_bytes {
            let names = connected.topics.keys().cloned();
            let limits = names.map(|name| (name, bytes));
            backends.max_message_bytes.extend(limits);
        }
        backends.topics.extend(connected.topics);
        backends.subscriptions.extend(connected.subscriptions);
        backends.pushes.extend(connected.pushes);
        backends.brokers.push(connected.broker);
    }
    Ok(backends)
}

fn connect_caches(config: &InfraConfig, model: &Model) -> BTreeMap<String, Arc<dyn Cache>> {
    let declared = model
        .caches
        .iter()
        .filter(|cache| config.redis.contains_key(&cache.name));
    declared
        .map(|cache| {
            let options = CacheOptions {
                eviction: cache.eviction,
                ..CacheOptions::default()
            };
            (
                cache.name.clone(),
                Arc::new(MemoryCache::new(&cache.name, options)) as Arc<dyn Cache>,
            )
        })
        .collect()
}

/// The fields that are well-formed but that this version cannot honour, each by its path.
fn unsupported(config: &InfraConfig) -> Vec<String> {
    let mut problems = Vec::new();
    let mut cannot =
        |path: String, why: &str| problems.push(format!("infra config: {path}: {why}"));
    if !config.auth.is_empty() {
        cannot(
            "auth".into(),
            "calls between services are not supported yet; remove the field",
        );
    }
    if !config.service_discovery.is_empty() {
        cannot(
            "service_discovery".into(),
            "calls between services are not supported yet; remove the field",
        );
    }
    if config.metrics.is_some() {
        cannot(
            "metrics".into(),
            "exporting metrics is not supported yet; remove the field",
        );
    }
    if config.cors.is_some() {
        cannot(
            "cors".into(),
            "put a `tower_http::cors::CorsLayer` on the application's router instead",
        );
    }
    if config.worker_threads.is_some_and(|threads| threads != 0) {
        cannot(
            "worker_threads".into(),
            "set the environment variable TOKIO_WORKER_THREADS instead",
        );
    }
    if !config.hosted_services.is_empty() {
        cannot(
            "hosted_services".into(),
            "a process hosts every service that is linked into it; remove the field",
        );
    }
    for (name, redis) in &config.redis {
        if !redis.in_memory {
            cannot(
                format!("redis.{name}"),
                "Redis is not supported yet; `\"in_memory\": true` is",
            );
        }
    }
    for (index, storage) in config.object_storage.iter().enumerate() {
        let kind = match storage {
            ObjectStorage::Disk { .. } | ObjectStorage::Memory { .. } => continue,
            ObjectStorage::S3 { .. } => "s3",
            ObjectStorage::Gcs { .. } => "gcs",
        };
        cannot(
            format!("object_storage[{index}].type"),
            &format!("`{kind}` is not supported yet; `disk` and `memory` are"),
        );
    }
    problems.extend(pubsub::unsupported(config));
    problems
}

async fn connect_buckets(
    config: &InfraConfig,
    model: &Model,
    base_url: &str,
    signing_key: &SigningKey,
) -> Result<BTreeMap<String, Arc<dyn Bucket>>, Vec<String>> {
    let mut bound: BTreeMap<String, Arc<dyn Bucket>> = BTreeMap::new();
    let mut problems = Vec::new();
    for storage in &config.object_storage {
        let (store, buckets) = match storage {
            ObjectStorage::Disk {
                path,
                sync,
                buckets,
            } => {
                match Store::open(
                    Path::new(path),
                    StoreOptions {
                        sync: sync.unwrap_or(true),
                    },
                )
                .await
                {
                    Ok(store) => (Some(store), buckets),
                    Err(error) => {
                        problems.push(crate::error::chain(&error));
                        continue;
                    }
                }
            }
            ObjectStorage::Memory { buckets } => (None, buckets),
            ObjectStorage::S3 { .. } | ObjectStorage::Gcs { .. } => continue,
        };
        for (name, address) in buckets {
            let Some(declared) = model.buckets.iter().find(|bucket| bucket.name == *name) else {
                continue;
            };
            let options = BucketOptions {
                versioned: declared.versioned,
                public: declared.public,
                public_base_url: Some(match &address.public_base_url {
                    Some(url) => url.clone(),
                    None => format!("{base_url}{}/{name}", crate::server::PUBLIC_OBJECTS),
                }),
                key_prefix: address.key_prefix.clone().unwrap_or_default(),
                base_url: Some(base_url.to_owned()),
                signing_key: Some(signing_key.clone()),
            };
            let bucket: Arc<dyn Bucket> = match &store {
                Some(store) => match store.bucket(&address.name, options).await {
                    Ok(bucket) => bucket,
                    Err(error) => {
                        problems.push(crate::error::chain(&error));
                        continue;
                    }
                },
                None => Arc::new(MemoryBucket::new(name, options)),
            };
            bound.insert(name.clone(), bucket);
        }
    }
    if problems.is_empty() {
        Ok(bound)
    } else {
        Err(problems)
    }
}
