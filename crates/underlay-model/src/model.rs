//! The model document: everything that one binary declares.
//!
//! A [`Declaration`] is what one attribute leaves in the binary; [`Model::assemble`] turns all of them into the
//! document that tools read. This file knows the shape of the document and nothing of how it is found
//! ([`crate::fragment`]) or judged ([`crate::check`]).

use serde::{Deserialize, Serialize};

use crate::filter::Filter;

/// The version of the model document that this crate reads and writes.
pub const MODEL_VERSION: u32 = 1;

/// Everything that one application declares, in one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Model {
    /// The version of this document's shape: [`MODEL_VERSION`].
    pub underlay_model: u32,
    /// The application that the binary is.
    pub application: Application,
    /// The services, sorted by name: one per package that declares something, or per `underlay::service!`.
    #[serde(default)]
    pub services: Vec<Service>,
    /// SQL databases.
    #[serde(default)]
    pub databases: Vec<Database>,
    /// Topics.
    #[serde(default)]
    pub topics: Vec<Topic>,
    /// Subscriptions to topics.
    #[serde(default)]
    pub subscriptions: Vec<Subscription>,
    /// Scheduled jobs.
    #[serde(default)]
    pub crons: Vec<Cron>,
    /// Object storage buckets.
    #[serde(default)]
    pub buckets: Vec<Bucket>,
    /// Cache clusters.
    #[serde(default)]
    pub caches: Vec<Cache>,
    /// Keyspaces inside cache clusters.
    #[serde(default)]
    pub keyspaces: Vec<Keyspace>,
    /// Secrets.
    #[serde(default)]
    pub secrets: Vec<Secret>,
    /// HTTP endpoints.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
    /// References from one service to another service's resource.
    #[serde(default)]
    pub references: Vec<Reference>,
}

/// The application: the package whose binary this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Application {
    /// The cargo package's name.
    pub name: String,
    /// The cargo package's version.
    pub version: String,
}

/// Where a declaration stands in the source.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Source {
    /// The cargo package.
    pub package: String,
    /// The module path, starting with the crate's name.
    pub module: String,
    /// The file as the compiler names it: relative to the workspace root for workspace members.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

macro_rules! entries {
    ($($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $ty:ty,)* })*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $ty,)*
            /// The service that declares it. Empty in a fragment; filled by [`Model::assemble`].
            #[serde(default, skip_serializing_if = "String::is_empty")]
            pub service: String,
            /// The declaration's doc comment.
            #[serde(default, skip_serializing_if = "String::is_empty")]
            pub doc: String,
            /// Where it is declared.
            pub source: Source,
        }
    )*};
}

entries! {
    /// A SQL database.
    Database {
        /// The name, unique among databases.
        name: String,
        /// The engine; `postgres` is the only one.
        engine: Engine,
        /// The migrations, by number. Empty: the database is created empty.
        #[serde(default)] migrations: Vec<Migration>,
        /// The migrations directory, relative to the package's folder; absent when there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")] migrations_dir: Option<String>,
        /// Whether messages can be published in its transactions: it has an outbox.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")] outbox: bool,
    }
    /// A topic that messages are published to.
    Topic {
        /// The name, unique among topics.
        name: String,
        /// The message type as the declaration writes it.
        message: String,
        /// The delivery guarantee.
        #[serde(default)] delivery: Delivery,
        /// The attribute whose value orders messages, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")] ordered_by: Option<String>,
        /// The message fields that are also sent as attributes.
        #[serde(default)] attributes: Vec<String>,
    }
    /// A subscription: one handler that receives each message of a topic.
    Subscription {
        /// The name, unique among the subscriptions of the topic.
        name: String,
        /// The topic's name.
        topic: String,
        /// The handler function's path.
        handler: String,
        /// How the messages are delivered.
        #[serde(flatten)] delivery: DeliveryOptions,
        /// Which messages it wants, by their attributes; absent: all.
        #[serde(default, skip_serializing_if = "Filter::is_empty")] filter: Filter,
        /// The database whose transaction a handler shares with the record of what was handled; absent: none.
        #[serde(default, skip_serializing_if = "Option::is_none")] idempotent_in: Option<String>,
    }
    /// A job that runs on a schedule, in UTC.
    Cron {
        /// The id, unique among crons.
        name: String,
        /// What people call it.
        title: String,
        /// When it runs: `every:1h` or `schedule:0 9 * * 1`.
        schedule: String,
        /// The handler function's path.
        handler: String,
    }
    /// An object storage bucket.
    Bucket {
        /// The name, unique among buckets.
        name: String,
        /// Whether anybody may read its objects by URL.
        #[serde(default)] public: bool,
        /// Whether old versions of objects are kept.
        #[serde(default)] versioned: bool,
    }
    /// A cache cluster.
    Cache {
        /// The name, unique among caches.
        name: String,
        /// What is dropped when memory is full.
        #[serde(default)] eviction: Eviction,
    }
    /// A keyspace: typed keys and values inside a cache cluster.
    Keyspace {
        /// The name: the static's name in kebab-case.
        name: String,
        /// The cache cluster's name.
        cache: String,
        /// The key pattern, such as `requests/:user_id`.
        pattern: String,
        /// The key type as the declaration writes it.
        key: String,
        /// The fields of the key type; `["key"]` for a basic type.
        key_fields: Vec<String>,
        /// The keyspace type with its value type, as the declaration writes it.
        value: String,
        /// After how long a value that is written expires, such as `10s`; absent: never.
        #[serde(default, skip_serializing_if = "Option::is_none")] expiry: Option<String>,
    }
    /// A secret value that the environment provides.
    Secret {
        /// The name, an identifier; unique among secrets.
        name: String,
    }
    /// An HTTP endpoint.
    Endpoint {
        /// The handler function's name.
        name: String,
        /// The HTTP methods, upper case.
        methods: Vec<String>,
        /// The path, in axum's syntax: `/orders/{id}`.
        path: String,
        /// Who may call it.
        #[serde(default)] access: Access,
    }
    /// A use of another service's resource, with the permissions it needs.
    Reference {
        /// The name: the static's name in kebab-case.
        name: String,
        /// What kind of resource it refers to.
        kind: ResourceKind,
        /// The resource's name.
        resource: String,
        /// The permissions, by the names of their types: `Publisher`, `Downloader`.
        permissions: Vec<String>,
    }
}

/// A service: a package, or a module subtree under `underlay::service!("name")`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Service {
    /// The name.
    pub name: String,
    /// The cargo package that it lies in.
    pub package: String,
    /// The module path whose declarations belong to it.
    pub module: String,
    /// Where `underlay::service!` names it; absent for a package's default service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

/// The engine of a SQL database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// PostgreSQL.
    #[default]
    Postgres,
}

/// One migration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Migration {
    /// The number that orders it.
    pub number: i64,
    /// The description from the file's name, with spaces.
    pub description: String,
    /// SHA-384 of the file's text, in hex: the same value that sqlx keeps in `_sqlx_migrations.checksum`.
    pub checksum: String,
}

/// What a topic promises about each message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// Each message is delivered to each subscription, perhaps more than once.
    #[default]
    AtLeastOnce,
    /// The broker suppresses redelivery of an acknowledged message.
    ExactlyOnce,
}

/// How a subscription's messages are delivered. Durations are texts such as `30s`; see [`crate::duration`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeliveryOptions {
    /// How many messages one process handles at once.
    pub max_concurrency: u32,
    /// How long a handler may take before the message is delivered again. At least 1 s.
    pub ack_deadline: String,
    /// How long an unacknowledged message is kept. At least 1 min.
    pub retention: String,
    /// The wait before the first redelivery. At least 1 s.
    pub min_backoff: String,
    /// The longest wait before a redelivery. At least `min_backoff`.
    pub max_backoff: String,
    /// How many redeliveries before the message is dead-lettered; absent: without end.
    pub max_retries: Option<u32>,
}

impl Default for DeliveryOptions {
    fn default() -> Self {
        Self {
            max_concurrency: 100,
            ack_deadline: "30s".to_owned(),
            retention: "7d".to_owned(),
            min_backoff: "10s".to_owned(),
            max_backoff: "10m".to_owned(),
            max_retries: Some(100),
        }
    }
}

/// What a cache drops when its memory is full; the names are Redis's `maxmemory-policy` values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Eviction {
    /// Writes fail when memory is full.
    Noeviction,
    /// The least recently used key of all.
    #[default]
    AllkeysLru,
    /// The least frequently used key of all.
    AllkeysLfu,
    /// Any key.
    AllkeysRandom,
    /// The least recently used key that expires.
    VolatileLru,
    /// The least frequently used key that expires.
    VolatileLfu,
    /// The key that expires soonest.
    VolatileTtl,
    /// Any key that expires.
    VolatileRandom,
}

impl Eviction {
    /// All policies, by the name that a declaration uses.
    pub const NAMES: [(&'static str, Self); 8] = [
        ("noeviction", Self::Noeviction),
        ("allkeys-lru", Self::AllkeysLru),
        ("allkeys-lfu", Self::AllkeysLfu),
        ("allkeys-random", Self::AllkeysRandom),
        ("volatile-lru", Self::VolatileLru),
        ("volatile-lfu", Self::VolatileLfu),
        ("volatile-ttl", Self::VolatileTtl),
        ("volatile-random", Self::VolatileRandom),
    ];
}

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Anybody.
    Public,
    /// Anybody whom the application's auth handler accepts.
    Auth,
    /// Other services of the application only.
    #[default]
    Private,
}

/// The kinds of resource that a reference can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    /// A [`Database`].
    Database,
    /// A [`Topic`].
    Topic,
    /// A [`Bucket`].
    Bucket,
    /// A [`Cache`].
    Cache,
}

impl ResourceKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Database, Self::Topic, Self::Bucket, Self::Cache];
}

impl std::fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Database => "database",
            Self::Topic => "topic",
            Self::Bucket => "bucket",
            Self::Cache => "cache",
        })
    }
}

/// What one attribute leaves in the binary: the JSON of one fragment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "declaration", rename_all = "snake_case")]
pub enum Declaration {
    /// `#[underlay::main]`.
    Application(Application),
    /// `underlay::service!`.
    Service(Service),
    /// `#[database]`.
    Database(Database),
    /// `#[topic]`.
    Topic(Topic),
    /// `#[subscription]`.
    Subscription(Subscription),
    /// `#[cron]`.
    Cron(Cron),
    /// `#[bucket]`.
    Bucket(Bucket),
    /// `#[cache]`.
    Cache(Cache),
    /// `#[keyspace]`.
    Keyspace(Keyspace),
    /// `#[secret]`.
    Secret(Secret),
    /// `#[api]`.
    Endpoint(Endpoint),
    /// `#[reference]`.
    Reference(Reference),
}

impl Declaration {
    /// The place of the declaration; `None` for the application itself.
    pub fn source(&self) -> Option<&Source> {
        match self {
            Self::Application(_) => None,
            Self::Service(it) => it.source.as_ref(),
            Self::Database(it) => Some(&it.source),
            Self::Topic(it) => Some(&it.source),
            Self::Subscription(it) => Some(&it.source),
            Self::Cron(it) => Some(&it.source),
            Self::Bucket(it) => Some(&it.source),
            Self::Cache(it) => Some(&it.source),
            Self::Keyspace(it) => Some(&it.source),
            Self::Secret(it) => Some(&it.source),
            Self::Endpoint(it) => Some(&it.source),
            Self::Reference(it) => Some(&it.source),
        }
    }
}

impl Model {
    /// A model of an application that declares nothing.
    pub fn empty(application: Application) -> Self {
        Self {
            underlay_model: MODEL_VERSION,
            application,
            services: Vec::new(),
            databases: Vec::new(),
            topics: Vec::new(),
            subscriptions: Vec::new(),
            crons: Vec::new(),
            buckets: Vec::new(),
            caches: Vec::new(),
            keyspaces: Vec::new(),
            secrets: Vec::new(),
            endpoints: Vec::new(),
            references: Vec::new(),
        }
    }

    /// Puts the declarations of one binary together.
    ///
    /// Each declaration is given its service: the one whose module path is the longest prefix of its own, else the
    /// package. Every list is sorted by name and place, so the order in which a linker left the declarations does
    /// not show. The first [`Declaration::Application`] wins over `fallback`, which names the application of a
    /// binary without `#[underlay::main]`.
    pub fn assemble(fallback: Application, declarations: Vec<Declaration>) -> Self {
        let mut model = Self::empty(fallback);
        let mut named: Vec<Service> = Vec::new();
        let mut rest = Vec::new();
        let mut application = None;
        for declaration in declarations {
            match declaration {
                Declaration::Application(it) => {
                    application.get_or_insert(it);
                }
                Declaration::Service(it) => named.push(it),
                other => rest.push(other),
            }
        }
        if let Some(application) = application {
            model.application = application;
        }
        let service_of = |source: &Source| {
            named
                .iter()
                .filter(|service| contains_module(&service.module, &source.module))
                .max_by_key(|service| service.module.len())
                .map_or_else(|| source.package.clone(), |service| service.name.clone())
        };
        let mut services: Vec<Service> = named.clone();
        for declaration in rest {
            let Some(source) = declaration.source() else {
                continue;
            };
            let service = service_of(source);
            if !services.iter().any(|it| it.name == service) {
                services.push(Service {
                    name: service.clone(),
                    package: source.package.clone(),
                    module: source
                        .module
                        .split("::")
                        .next()
                        .unwrap_or_default()
                        .to_owned(),
                    source: None,
                });
            }
            match declaration {
                Declaration::Application(_) | Declaration::Service(_) => {}
                Declaration::Database(it) => model.databases.push(Database { service, ..it }),
                Declaration::Topic(it) => model.topics.push(Topic { service, ..it }),
                Declaration::Subscription(it) => {
                    model.subscriptions.push(Subscription { service, ..it })
                }
                Declaration::Cron(it) => model.crons.push(Cron { service, ..it }),
                Declaration::Bucket(it) => model.buckets.push(Bucket { service, ..it }),
                Declaration::Cache(it) => model.caches.push(Cache { service, ..it }),
                Declaration::Keyspace(it) => model.keyspaces.push(Keyspace { service, ..it }),
                Declaration::Secret(it) => model.secrets.push(Secret { service, ..it }),
                Declaration::Endpoint(it) => model.endpoints.push(Endpoint { service, ..it }),
                Declaration::Reference(it) => model.references.push(Reference { service, ..it }),
            }
        }
        services.sort_by(|a, b| (&a.name, &a.source).cmp(&(&b.name, &b.source)));
        model.services = services;
        model
            .databases
            .sort_by(|a, b| (&a.name, &a.source).cmp(&(&b.name, &b.source)));
        model
            .topics
            .sort_by(|a, b| (&a.name, &a.source).cmp(&(&b.name, &b.source)));
        model
            .subscriptions
            .sort_by(|a, b| (&a.topic, &a.name, &a.source).cmp(&(&b.topic, &b.name, &b.source)));
        model
            .crons
            .sort_by(|a, b| (&a.name, &a.source).cmp(&(&b.name, &b.source)));
        model
            .buckets
            .sort_by(|a, b| (&a.name, &a.source).cmp(&(&b.name, &b.source)));
        model
            .caches
            .sort_by(|a, b| (&a.name, &a.source).cmp(&(&b.name, &b.source)));
        model.keyspaces.sort_by(|a, b| {
            (&a.cache, &a.pattern, &a.source).cmp(&(&b.cache, &b.pattern, &b.source))
        });
        model
            .secrets
            .sort_by(|a, b| (&a.name, &a.source).cmp(&(&b.name, &b.source)));
        model.endpoints.sort_by(|a, b| {
            (&a.path, &a.methods, &a.source).cmp(&(&b.path, &b.methods, &b.source))
        });
        model.references.sort_by(|a, b| {
            (&a.service, &a.name, &a.source).cmp(&(&b.service, &b.name, &b.source))
        });
        model
    }
}

/// Whether `inner` is the module `outer` or lies in it.
fn contains_module(outer: &str, inner: &str) -> bool {
    inner
        .strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}
