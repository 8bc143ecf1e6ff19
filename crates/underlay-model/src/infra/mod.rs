//! The infra config document: where each declared resource is.
//!
//! It is a superset of the self-host infra config that Encore publishes, so such a file works here unchanged. These
//! are the types after `{"$env": "NAME"}` has been resolved; [`InfraConfig::read`] is the only way from text to them.
//! They know no backend: what is well said here may be something that a backend cannot do yet.

mod bounds;
mod duplicates;
mod metrics;
mod missing;
mod object_storage;
mod pubsub;
mod read;
mod servers;

use std::collections::BTreeMap;

use serde::Serialize;

pub use self::metrics::{Metrics, MetricsExporter};
pub use self::object_storage::{BucketAddress, ObjectStorage};
pub use self::pubsub::{
    AwsSubscription, AwsTopic, GcpSubscription, GcpTopic, MemorySubscription, MemoryTopic,
    NamedSubscription, NamedTopic, PubSub, PushConfig,
};
pub use self::read::ConfigProblem;
use self::read::{Read, Reader, readable};
pub use self::servers::{
    ClientCert, Redis, RedisAuth, SqlDatabase, SqlMigrator, SqlReplica, SqlServer, TlsConfig,
};

/// Where everything is that one deployment uses.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct InfraConfig {
    /// A link to this document's schema, for editors; ignored.
    #[serde(rename = "$schema", skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Which deployment this is.
    pub metadata: Metadata,
    /// How long a shutdown may take.
    pub graceful_shutdown: GracefulShutdown,
    /// How calls between services prove who they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub auth: Vec<Auth>,
    /// Where the other services are, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub service_discovery: BTreeMap<String, ServiceAddress>,
    /// Where metrics go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
    /// Encore writes it for its own runtime; ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_metrics: Option<serde_json::Value>,
    /// The database servers, with the databases on each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sql_servers: Vec<SqlServer>,
    /// The cache clusters, by declared name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub redis: BTreeMap<String, Redis>,
    /// The brokers, with the topics on each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pubsub: Vec<PubSub>,
    /// The object stores, with the buckets in each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub object_storage: Vec<ObjectStorage>,
    /// The secrets' values, by declared name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, SecretText>,
    /// Whether scheduled jobs run in this process. Default: they do not; see [`Cron`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cron: Option<Cron>,
    /// When this process applies migrations.
    pub migrations: Migrations,
    /// Cross-origin rules of the HTTP server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// A filter for logs, in `tracing_subscriber::EnvFilter` syntax.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_config: Option<String>,
    /// Worker threads of the runtime: absent or 0 for one per CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_threads: Option<u32>,
    /// The services that this process hosts; empty: all that are linked into it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosted_services: Vec<String>,
    /// Encore writes it for its own gateway; ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosted_gateways: Option<serde_json::Value>,
}

/// Which deployment this is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Metadata {
    /// The application's id; absent: the model's application name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
    /// The environment's name, such as `prod`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env_name: Option<String>,
    /// The environment's type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env_type: Option<EnvType>,
    /// The cloud: `aws`, `gcp`, `azure`, `encore` or `local`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud: Option<Cloud>,
    /// The public base URL of the application's API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
}

/// The type of an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EnvType {
    /// Serves users.
    Production,
    /// Shared by developers.
    Development,
    /// Lives as long as a change under review.
    Ephemeral,
    /// Lives as long as a test.
    Test,
}

/// The cloud that a deployment runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Cloud {
    /// Amazon Web Services.
    Aws,
    /// Google Cloud.
    Gcp,
    /// Microsoft Azure.
    Azure,
    /// Encore's own; accepted so that its files are read.
    Encore,
    /// This machine.
    Local,
}

/// How long a shutdown may take, in whole seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct GracefulShutdown {
    /// From the signal to the exit. Default 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u32>,
    /// For shutdown hooks, out of `total`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shutdown_hooks: Option<u32>,
    /// For handlers that still run, out of `total`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handlers: Option<u32>,
}

/// A shared key that signs calls between services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// An HMAC key.
    Key {
        /// The key's number, sent with each signature so that keys can be rotated.
        id: u32,
        /// The key.
        key: SecretText,
    },
}

/// Where another service is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ServiceAddress {
    /// The base URL of its API.
    pub base_url: String,
    /// How calls to it prove who they are; absent: as `auth` at the top says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Vec<Auth>>,
}

/// Whether scheduled jobs run in this process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Cron {
    /// `true`: they run on their schedules. `false`: only by hand.
    pub enabled: bool,
}

/// When a process applies migrations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Migrations {
    /// Before it serves.
    #[default]
    OnStart,
    /// Only when it runs as the migration job.
    Job,
    /// Never.
    Off,
}

/// Cross-origin rules of the HTTP server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Cors {
    /// Log each decision.
    pub debug: bool,
    /// Request headers that are allowed besides the usual ones.
    pub allow_headers: Vec<String>,
    /// Response headers that scripts may read besides the usual ones.
    pub expose_headers: Vec<String>,
    /// Origins that may call without credentials; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_origins_without_credentials: Option<Vec<String>>,
    /// Origins that may call with credentials; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_origins_with_credentials: Option<Vec<String>>,
}

/// A text that must not be shown: its `Debug` is `***`.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct SecretText(pub String);

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl SecretText {
    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl InfraConfig {
    /// Reads an infra config from JSON. `env` gives the values of environment variables.
    ///
    /// Wherever a text stands, `{"$env": "NAME"}` may stand in place of it; in place of a map too, and then the
    /// variable holds the map as JSON. `null` is the same as leaving a field away.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, at once: unknown and missing fields, wrong types, variables that are not set, values
    /// out of bounds, and what contradicts itself. No message holds a secret.
    ///
    /// # Example
    ///
    /// ```
    /// use underlay_model::InfraConfig;
    ///
    /// let text = r#"{ "secrets": { "StripeKey": { "$env": "STRIPE_KEY" } }, "migratoins": "off" }"#;
    /// let problems = InfraConfig::read(text, &|_| None).unwrap_err();
    /// let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    /// assert_eq!(
    ///     texts,
    ///     [
    ///         "secrets.StripeKey: the environment variable `STRIPE_KEY` is not set",
    ///         "migratoins: unknown field; did you mean `migrations`?",
    ///     ],
    /// );
    /// ```
    pub fn read(
        text: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Vec<ConfigProblem>> {
        let text = text.trim_start_matches('\u{feff}');
        let value = serde_json::from_str(text).map_err(|error| {
            vec![ConfigProblem {
                path: String::new(),
                message: format!("not JSON: {error}"),
            }]
        })?;
        let mut reader = Reader::new(env);
        for path in duplicates::duplicates(text) {
            reader.report(path, "stands twice in its object".to_owned());
        }
        let mut config = <Self as Read>::read(&value, &mut reader);
        let databases = config
            .sql_servers
            .iter_mut()
            .flat_map(|it| it.databases.values_mut());
        let limits = databases.map(|it| &mut it.max_connections);
        for limit in limits.chain(config.redis.values_mut().map(|it| &mut it.max_connections)) {
            *limit = limit.filter(|it| *it > 0);
        }
        bounds::check(&config, &mut reader);
        let problems = reader.into_problems();
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(problems)
        }
    }

    /// The document, with every `{"$env": …}` resolved: it holds the secrets.
    ///
    /// [`read`](Self::read) gives the same config back.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("all keys of an infra config are texts")
    }
}

readable!(struct InfraConfig {
    schema as "$schema",
    metadata or Metadata::default(),
    graceful_shutdown or GracefulShutdown::default(),
    auth,
    service_discovery,
    metrics,
    used_metrics,
    sql_servers,
    redis,
    pubsub,
    object_storage,
    secrets,
    cron,
    migrations or Migrations::default(),
    cors,
    log_config,
    worker_threads,
    hosted_services,
    hosted_gateways,
});
readable!(struct Metadata { app_id, env_name, env_type, cloud, base_url });
readable!(names EnvType "environment type" {
    Production "production",
    Development "development",
    Ephemeral "ephemeral",
    Test "test",
});
readable!(names Cloud "cloud" { Aws "aws", Gcp "gcp", Azure "azure", Encore "encore", Local "local" });
readable!(struct GracefulShutdown { total, shutdown_hooks, handlers });
readable!(enum Auth "kind of key" { Key "key" { id, key } });
readable!(struct ServiceAddress { base_url, auth });
readable!(struct Cron { enabled });
readable!(names Migrations "way to migrate" { OnStart "on-start", Job "job", Off "off" });
readable!(struct Cors {
    debug,
    allow_headers,
    expose_headers,
    allow_origins_without_credentials,
    allow_origins_with_credentials,
});
