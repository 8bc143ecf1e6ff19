//! What an application declares and an infra config does not place.
//!
//! It compares the two documents and does not connect to anything.

use std::collections::{BTreeMap, BTreeSet};

use super::{InfraConfig, ObjectStorage, PubSub};
use crate::model::{Model, ResourceKind, Source, Subscription};
use crate::nearest::did_you_mean;
use crate::problem::Problem;

impl InfraConfig {
    /// The declared resources that nothing here says the place of, each with its declaration; kind by kind.
    ///
    /// When `hosted_services` names some, only what those services declare or refer to is needed.
    ///
    /// # Example
    ///
    /// A database that is declared and nowhere placed is reported as:
    ///
    /// ```text
    /// error: database `orders` is declared at src/orders.rs:3:1, but no sql_servers[].databases.orders says where it is
    ///   --> src/orders.rs:3:1
    /// ```
    pub fn missing(&self, model: &Model) -> Vec<Problem> {
        let needs = Needs {
            config: self,
            model,
        };
        let mut problems = needs.unknown_services();

        let databases = Places::new(
            "sql_servers[].databases.",
            self.sql_servers
                .iter()
                .flat_map(|it| it.databases.keys().map(String::as_str)),
            model.databases.iter().map(|it| it.name.as_str()),
        );
        for it in &model.databases {
            if needs.resource(&it.service, ResourceKind::Database, &it.name) {
                problems.extend(databases.problem("database", &it.name, &it.source));
            }
        }

        let placed: BTreeMap<&str, Subscriptions<'_>> =
            self.pubsub.iter().flat_map(PubSub::topics).collect();
        let topics = Places::new(
            "pubsub[].topics.",
            placed.keys().copied(),
            model.topics.iter().map(|it| it.name.as_str()),
        );
        for it in &model.topics {
            if needs.topic(&it.service, &it.name) {
                problems.extend(topics.problem("topic", &it.name, &it.source));
            }
        }

        let mut declared: BTreeMap<&str, Vec<&Subscription>> = BTreeMap::new();
        for it in &model.subscriptions {
            declared.entry(&it.topic).or_default().push(it);
        }
        for (topic, declared) in declared {
            // A topic in memory needs no word about its subscriptions; that of an unplaced one is said already.
            let Some(Some(placed)) = placed.get(topic) else {
                continue;
            };
            let path = format!("pubsub[].topics.{topic}.subscriptions.");
            let names = declared.iter().map(|it| it.name.as_str());
            let subscriptions = Places::new(&path, placed.iter().copied(), names);
            for it in declared.iter().filter(|it| needs.service(&it.service)) {
                let kind = format!("topic `{topic}`'s subscription");
                problems.extend(subscriptions.problem(&kind, &it.name, &it.source));
            }
        }

        let buckets = Places::new(
            "object_storage[].buckets.",
            self.object_storage
                .iter()
                .flat_map(|it| it.buckets().keys().map(String::as_str)),
            model.buckets.iter().map(|it| it.name.as_str()),
        );
        let readable: BTreeSet<&str> = self
            .object_storage
            .iter()
            .flat_map(ObjectStorage::publicly_readable)
            .collect();
        for it in &model.buckets {
            if !needs.resource(&it.service, ResourceKind::Bucket, &it.name) {
                continue;
            }
            let problem = buckets.problem("bucket", &it.name, &it.source).or_else(|| {
                let (name, source) = (&it.name, &it.source);
                let message = format!(
                    "bucket `{name}` is declared public at {source}, but object_storage[].buckets.{name} has no \
                     public_base_url that says where anybody can read it"
                );
                (it.public && !readable.contains(name.as_str()))
                    .then(|| Problem::error(message, [source.clone()]))
            });
            problems.extend(problem);
        }

        let caches = Places::new(
            "redis.",
            self.redis.keys().map(String::as_str),
            model.caches.iter().map(|it| it.name.as_str()),
        );
        for it in &model.caches {
            if needs.resource(&it.service, ResourceKind::Cache, &it.name) {
                problems.extend(caches.problem("cache", &it.name, &it.source));
            }
        }

        let secrets = Places::new(
            "secrets.",
            self.secrets.keys().map(String::as_str),
            model.secrets.iter().map(|it| it.name.as_str()),
        );
        for it in model.secrets.iter().filter(|it| needs.service(&it.service)) {
            problems.extend(secrets.problem("secret", &it.name, &it.source));
        }
        problems
    }
}

/// The resources of one kind that the config places at a path, and those that the model declares.
struct Places<'a> {
    path: &'a str,
    placed: BTreeSet<&'a str>,
    declared: BTreeSet<&'a str>,
}

impl<'a> Places<'a> {
    fn new(
        path: &'a str,
        placed: impl Iterator<Item = &'a str>,
        declared: impl Iterator<Item = &'a str>,
    ) -> Self {
        Self {
            path,
            placed: placed.collect(),
            declared: declared.collect(),
        }
    }

    /// The problem that a resource is not placed; a place whose name nobody declares may be meant.
    fn problem(&self, kind: &str, name: &str, source: &Source) -> Option<Problem> {
        if self.placed.contains(name) {
            return None;
        }
        let path = self.path;
        let hint = did_you_mean(name, self.placed.difference(&self.declared).copied());
        let message = format!(
            "{kind} `{name}` is declared at {source}, but no {path}{name} says where it is{hint}"
        );
        Some(Problem::error(message, [source.clone()]))
    }
}

/// The names of a topic's subscriptions; `None` where those need not be said.
type Subscriptions<'a> = Option<BTreeSet<&'a str>>;

impl PubSub {
    /// The topics on it, by declared name, with their subscriptions.
    fn topics(&self) -> Vec<(&str, Subscriptions<'_>)> {
        macro_rules! topics {
            ($topics:expr) => {
                $topics
                    .iter()
                    .map(|(name, it)| {
                        (
                            name.as_str(),
                            Some(it.subscriptions.keys().map(String::as_str).collect()),
                        )
                    })
                    .collect()
            };
        }
        match self {
            Self::Memory { topics, .. } => topics.keys().map(|it| (it.as_str(), None)).collect(),
            Self::Nats { topics, .. } | Self::Nsq { topics, .. } => topics!(topics),
            Self::GcpPubsub { topics, .. } => topics!(topics),
            Self::AwsSnsSqs { topics, .. } => topics!(topics),
        }
    }
}

impl ObjectStorage {
    /// The buckets of which it is known where anybody reads them. What we serve ourselves needs no word.
    fn publicly_readable(&self) -> impl Iterator<Item = &str> {
        let served_by_us = matches!(self, Self::Disk { .. } | Self::Memory { .. });
        let readable = self
            .buckets()
            .iter()
            .filter(move |it| served_by_us || it.1.public_base_url.is_some());
        readable.map(|it| it.0.as_str())
    }
}

/// What the process needs, given the services that it hosts.
struct Needs<'a> {
    config: &'a InfraConfig,
    model: &'a Model,
}

impl Needs<'_> {
    fn service(&self, service: &str) -> bool {
        let hosted = &self.config.hosted_services;
        hosted.is_empty() || hosted.iter().any(|it| it == service)
    }

    fn resource(&self, service: &str, kind: ResourceKind, name: &str) -> bool {
        let mut references = self.model.references.iter();
        self.service(service)
            || references
                .any(|it| it.kind == kind && it.resource == name && self.service(&it.service))
    }

    fn topic(&self, service: &str, name: &str) -> bool {
        let mut subscriptions = self.model.subscriptions.iter();
        self.resource(service, ResourceKind::Topic, name)
            || subscriptions.any(|it| it.topic == name && self.service(&it.service))
    }

    fn unknown_services(&self) -> Vec<Problem> {
        let known: BTreeSet<&str> = self
            .model
            .services
            .iter()
            .map(|it| it.name.as_str())
            .collect();
        let hosted = self.config.hosted_services.iter().map(String::as_str);
        let unknown = hosted.filter(|it| !known.contains(it));
        let problem = |it| {
            let hint = did_you_mean(it, known.iter().copied());
            Problem::error(
                format!(
                    "hosted_services names `{it}`, which is not a service of the application{hint}"
                ),
                [],
            )
        };
        unknown.map(problem).collect()
    }
}
