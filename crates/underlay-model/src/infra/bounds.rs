//! What the values of an infra config may be, beyond their types: bounds, and what must agree.
//!
//! It judges one document; what the application needs of it is for [`super::missing`].

use std::collections::BTreeMap;

use super::read::{Reader, field_path};
use super::{
    Auth, BucketAddress, InfraConfig, MetricsExporter, ObjectStorage, PubSub, SqlDatabase,
};

/// How many connections a pool of Redis has when nothing is said.
const REDIS_MAX_CONNECTIONS: u32 = 100;
/// The databases that a Redis server has, unless configured otherwise.
const MAX_REDIS_DATABASE: u8 = 15;

pub(super) fn check(config: &InfraConfig, reader: &mut Reader<'_>) {
    if let Some(url) = &config.metadata.base_url {
        http_url(url, "metadata.base_url", reader);
    }
    auth(&config.auth, "auth", reader);
    for (name, service) in &config.service_discovery {
        let at = field_path("service_discovery", name);
        http_url(&service.base_url, &field_path(&at, "base_url"), reader);
        auth(
            service.auth.as_deref().unwrap_or_default(),
            &field_path(&at, "auth"),
            reader,
        );
    }
    if let Some(metrics) = &config.metrics {
        if metrics.collection_interval == Some(0) {
            reader.report(
                "metrics.collection_interval".to_owned(),
                "must be at least 1".to_owned(),
            );
        }
        match &metrics.exporter {
            MetricsExporter::Prometheus { remote_write_url } => {
                http_url(remote_write_url, "metrics.remote_write_url", reader);
            }
            MetricsExporter::Datadog { site, api_key } => {
                not_empty(site, "metrics.site", reader);
                not_empty(api_key.expose(), "metrics.api_key", reader);
            }
            MetricsExporter::GcpCloudMonitoring {
                project_id,
                monitored_resource_type,
                ..
            } => {
                not_empty(project_id, "metrics.project_id", reader);
                not_empty(
                    monitored_resource_type,
                    "metrics.monitored_resource_type",
                    reader,
                );
            }
            MetricsExporter::AwsCloudwatch { namespace } => {
                not_empty(namespace, "metrics.namespace", reader);
            }
        }
    }
    servers(config, reader);
    brokers(config, reader);
    stores(config, reader);
}

fn auth(keys: &[Auth], at: &str, reader: &mut Reader<'_>) {
    let mut ids = BTreeMap::new();
    for (i, Auth::Key { id, key }) in keys.iter().enumerate() {
        not_empty(key.expose(), &format!("{at}[{i}].key"), reader);
        if let Some(first) = ids.insert(id, i) {
            reader.report(
                format!("{at}[{i}].id"),
                format!("is the same as that of `{at}[{first}]`"),
            );
        }
    }
}

fn servers(config: &InfraConfig, reader: &mut Reader<'_>) {
    let mut placed = Placed::new("database");
    for (i, server) in config.sql_servers.iter().enumerate() {
        let at = format!("sql_servers[{i}]");
        host(&server.host, &format!("{at}.host"), reader);
        if let Some(replica) = &server.read_replica {
            host(&replica.host, &format!("{at}.read_replica.host"), reader);
        }
        for (name, database) in &server.databases {
            let at = field_path(&format!("{at}.databases"), name);
            placed.add(name, &at, reader);
            not_empty(&database.username, &format!("{at}.username"), reader);
            if let Some(name) = &database.name {
                not_empty(name, &format!("{at}.name"), reader);
            }
            timeout(
                database.acquire_timeout.as_deref(),
                &format!("{at}.acquire_timeout"),
                reader,
            );
            let statement_timeout = format!("{at}.statement_timeout");
            timeout(
                database.statement_timeout.as_deref(),
                &statement_timeout,
                reader,
            );
            if server.pooled && database.statement_timeout.is_some() {
                reader.report(
                    statement_timeout,
                    "does not reach the server through a pooler; set it for the role: \
                     ALTER ROLE … SET statement_timeout = …"
                        .to_owned(),
                );
            }
            if let Some(migrator) = &database.migrator {
                let at = format!("{at}.migrator");
                not_empty(&migrator.username, &format!("{at}.username"), reader);
                if let Some(text) = &migrator.host {
                    host(text, &format!("{at}.host"), reader);
                }
            }
            pool(
                database.min_connections,
                database.max_connections,
                SqlDatabase::MAX_CONNECTIONS,
                &at,
                reader,
            );
        }
    }
    for (name, redis) in &config.redis {
        let at = field_path("redis", name);
        if !redis.in_memory {
            host(&redis.host, &format!("{at}.host"), reader);
        }
        if redis.database_index > MAX_REDIS_DATABASE {
            reader.report(
                format!("{at}.database_index"),
                format!("must be from 0 to {MAX_REDIS_DATABASE}"),
            );
        }
        pool(
            redis.min_connections,
            redis.max_connections,
            REDIS_MAX_CONNECTIONS,
            &at,
            reader,
        );
    }
}

fn brokers(config: &InfraConfig, reader: &mut Reader<'_>) {
    let mut placed = Placed::new("topic");
    for (i, broker) in config.pubsub.iter().enumerate() {
        let at = format!("pubsub[{i}]");
        let topic_at = |name: &str| field_path(&format!("{at}.topics"), name);
        let subscription_at = |topic: &str, name: &str| {
            field_path(&format!("{}.subscriptions", topic_at(topic)), name)
        };
        match broker {
            PubSub::Memory { path, topics } => {
                if let Some(path) = path {
                    not_empty(path, &format!("{at}.path"), reader);
                }
                topics
                    .keys()
                    .for_each(|name| placed.add(name, &topic_at(name), reader));
            }
            PubSub::Nats { hosts, topics, .. } | PubSub::Nsq { hosts, topics } => {
                not_empty(hosts, &format!("{at}.hosts"), reader);
                for (name, topic) in topics {
                    placed.add(name, &topic_at(name), reader);
                    not_empty(&topic.name, &format!("{}.name", topic_at(name)), reader);
                    for (subscription, it) in &topic.subscriptions {
                        not_empty(
                            &it.name,
                            &format!("{}.name", subscription_at(name, subscription)),
                            reader,
                        );
                    }
                }
            }
            PubSub::GcpPubsub {
                project_id, topics, ..
            } => {
                for (name, topic) in topics {
                    placed.add(name, &topic_at(name), reader);
                    not_empty(&topic.name, &format!("{}.name", topic_at(name)), reader);
                    let project = topic.project_id.as_ref().or(project_id.as_ref());
                    if project.is_none() {
                        reader.report(
                            format!("{}.project_id", topic_at(name)),
                            format!("is missing, and so is `{at}.project_id`; one of them says where the topic is"),
                        );
                    }
                    for (subscription, it) in &topic.subscriptions {
                        let at = subscription_at(name, subscription);
                        not_empty(&it.name, &format!("{at}.name"), reader);
                        if let Some(push) = &it.push_config {
                            not_empty(&push.id, &format!("{at}.push_config.id"), reader);
                            not_empty(
                                &push.service_account,
                                &format!("{at}.push_config.service_account"),
                                reader,
                            );
                        }
                    }
                }
            }
            PubSub::AwsSnsSqs { topics, .. } => {
                for (name, topic) in topics {
                    placed.add(name, &topic_at(name), reader);
                    if !topic.arn.starts_with("arn:") {
                        reader.report(
                            format!("{}.arn", topic_at(name)),
                            "must be the ARN of a topic, which starts with `arn:`".to_owned(),
                        );
                    }
                    for (subscription, it) in &topic.subscriptions {
                        http_url(
                            &it.url,
                            &format!("{}.url", subscription_at(name, subscription)),
                            reader,
                        );
                    }
                }
            }
        }
    }
}

fn stores(config: &InfraConfig, reader: &mut Reader<'_>) {
    let mut placed = Placed::new("bucket");
    for (i, store) in config.object_storage.iter().enumerate() {
        let at = format!("object_storage[{i}]");
        match store {
            ObjectStorage::Disk { path, .. } => not_empty(path, &format!("{at}.path"), reader),
            ObjectStorage::Memory { .. } => {}
            ObjectStorage::S3 {
                region,
                endpoint,
                access_key_id,
                secret_access_key,
                ..
            } => {
                not_empty(region, &format!("{at}.region"), reader);
                if let Some(endpoint) = endpoint {
                    http_url(endpoint, &format!("{at}.endpoint"), reader);
                }
                match (access_key_id, secret_access_key) {
                    (Some(_), None) => reader.report(
                        format!("{at}.secret_access_key"),
                        "is missing; it belongs to `access_key_id`".to_owned(),
                    ),
                    (None, Some(_)) => reader.report(
                        format!("{at}.access_key_id"),
                        "is missing; it belongs to `secret_access_key`".to_owned(),
                    ),
                    _ => {}
                }
            }
            ObjectStorage::Gcs { endpoint, .. } => {
                if let Some(endpoint) = endpoint {
                    http_url(endpoint, &format!("{at}.endpoint"), reader);
                }
            }
        }
        for (name, bucket) in store.buckets() {
            let at = field_path(&format!("{at}.buckets"), name);
            placed.add(name, &at, reader);
            not_empty(&bucket.name, &format!("{at}.name"), reader);
            if let Some(url) = &bucket.public_base_url {
                http_url(url, &format!("{at}.public_base_url"), reader);
            }
        }
    }
}

impl ObjectStorage {
    /// The buckets in it, by declared name.
    pub fn buckets(&self) -> &BTreeMap<String, BucketAddress> {
        match self {
            Self::Disk { buckets, .. }
            | Self::Memory { buckets }
            | Self::S3 { buckets, .. }
            | Self::Gcs { buckets, .. } => buckets,
        }
    }
}

/// Where the resources of one kind are, to find those that are in two places.
struct Placed<'a> {
    kind: &'static str,
    paths: BTreeMap<&'a str, String>,
}

impl<'a> Placed<'a> {
    fn new(kind: &'static str) -> Self {
        Self {
            kind,
            paths: BTreeMap::new(),
        }
    }

    fn add(&mut self, name: &'a str, path: &str, reader: &mut Reader<'_>) {
        if let Some(first) = self.paths.get(name) {
            let kind = self.kind;
            reader.report(
                path.to_owned(),
                format!("the {kind} `{name}` is already at `{first}`; remove one"),
            );
        } else {
            self.paths.insert(name, path.to_owned());
        }
    }
}

fn not_empty(text: &str, at: &str, reader: &mut Reader<'_>) {
    if text.trim().is_empty() {
        reader.report(at.to_owned(), "must not be empty".to_owned());
    }
}

/// A URL may hold a password, so it is not shown.
fn http_url(text: &str, at: &str, reader: &mut Reader<'_>) {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    if rest
        .is_none_or(|it| it.is_empty() || it.starts_with('/') || it.contains(char::is_whitespace))
    {
        reader.report(
            at.to_owned(),
            "must be a URL such as `https://example.com`".to_owned(),
        );
    }
}

fn host(text: &str, at: &str, reader: &mut Reader<'_>) {
    if text.trim().is_empty() {
        reader.report(at.to_owned(), "must not be empty".to_owned());
    } else if text.contains("://") {
        reader.report(
            at.to_owned(),
            "must be `host` or `host:port`, not a URL".to_owned(),
        );
    } else if text.contains(char::is_whitespace) {
        reader.report(at.to_owned(), "must not hold a space".to_owned());
    } else if let Some((host, port)) = text.rsplit_once(':')
        && !text.ends_with(']')
        && !host.ends_with(':')
        && (!host.contains(':') || host.ends_with(']'))
        && port.parse::<u16>().ok().filter(|it| *it > 0).is_none()
    {
        reader.report(
            at.to_owned(),
            "must have a port from 1 to 65535 after its `:`".to_owned(),
        );
    }
}

/// A time that somebody waits at most: at least a millisecond.
fn timeout(text: Option<&str>, at: &str, reader: &mut Reader<'_>) {
    let problem = match text.map(crate::duration::parse) {
        None => return,
        Some(Ok(duration)) if duration.is_zero() => "must be more than 0".to_owned(),
        Some(Ok(_)) => return,
        Some(Err(problem)) => problem,
    };
    reader.report(at.to_owned(), problem);
}

fn pool(min: Option<u32>, max: Option<u32>, default: u32, at: &str, reader: &mut Reader<'_>) {
    let limit = max.unwrap_or(default);
    if min.is_some_and(|min| min > limit) {
        let default = if max.is_none() { " by default" } else { "" };
        reader.report(
            format!("{at}.min_connections"),
            format!("must not be above max_connections, which is {limit}{default}"),
        );
    }
}
