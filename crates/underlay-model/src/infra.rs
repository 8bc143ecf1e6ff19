//! The infra config document: where each declared resource is.
//!
//! It is a superset of the self-host infra config that Encore publishes, so such a file works here unchanged. These
//! are the types after `{"$env": "NAME"}` has been resolved; [`read`] is the only way from text to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where everything is that one deployment uses.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ServiceAddress {
    /// The base URL of its API.
    pub base_url: String,
    /// How calls to it prove who they are; absent: as `auth` at the top says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Vec<Auth>>,
}

/// Where metrics go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Metrics {
    /// Seconds between two exports. Default 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection_interval: Option<u32>,
    /// The system that takes them.
    #[serde(flatten)]
    pub exporter: MetricsExporter,
}

/// The system that takes metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum MetricsExporter {
    /// Prometheus, by remote write.
    Prometheus {
        /// The URL to write to.
        remote_write_url: String,
    },
    /// Datadog.
    Datadog {
        /// The site, such as `datadoghq.eu`.
        site: String,
        /// The API key.
        api_key: SecretText,
    },
    /// Google Cloud Monitoring.
    GcpCloudMonitoring {
        /// The project.
        project_id: String,
        /// The monitored resource's type.
        monitored_resource_type: String,
        /// Its labels.
        #[serde(default)]
        monitored_resource_labels: BTreeMap<String, String>,
        /// Names to use in place of the application's own.
        #[serde(default)]
        metric_names: BTreeMap<String, String>,
    },
    /// Amazon CloudWatch.
    AwsCloudwatch {
        /// The namespace.
        namespace: String,
    },
}

/// A database server, with the databases on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SqlServer {
    /// `host`, `host:port`, or the folder of a Unix socket when it starts with `/`; a port may follow that, too.
    pub host: String,
    /// TLS. Absent: on, with the system's certificates, as in Encore; the provisioner writes `disabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsConfig>,
    /// The databases, by declared name.
    pub databases: BTreeMap<String, SqlDatabase>,
}

/// A database on a server, and who uses it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SqlDatabase {
    /// The name on the server; absent: the declared name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The most connections that the pool opens. Default 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// The connections that the pool keeps open. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_connections: Option<u32>,
    /// The role that the service uses.
    pub username: String,
    /// Its password.
    pub password: SecretText,
    /// A client certificate, when the server wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<ClientCert>,
}

/// TLS towards a server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// No TLS.
    pub disabled: bool,
    /// The certificate authority, in PEM; absent: the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// A client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<ClientCert>,
    /// Accept a certificate for another host name.
    pub disable_tls_hostname_verification: bool,
    /// Accept a certificate from any authority.
    pub disable_ca_validation: bool,
}

/// A client certificate with its key, both in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ClientCert {
    /// The certificate.
    pub cert: String,
    /// The key.
    pub key: SecretText,
}

/// A cache cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Redis {
    /// `host` or `host:port`; not used when `in_memory`.
    pub host: String,
    /// The database, 0 to 15.
    pub database_index: u8,
    /// Who we are to the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<RedisAuth>,
    /// What every key on the server starts with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_prefix: Option<String>,
    /// TLS. Absent: on, as in Encore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsConfig>,
    /// The most connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// The connections kept open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_connections: Option<u32>,
    /// The cache lives in this process and is empty at each start.
    pub in_memory: bool,
}

/// Who we are to a cache server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum RedisAuth {
    /// A user of Redis's access control lists.
    Acl {
        /// The user.
        username: String,
        /// Its password.
        password: SecretText,
    },
    /// The server's one password.
    AuthString {
        /// The password.
        auth_string: SecretText,
    },
}

/// A broker, with the topics on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum PubSub {
    /// In this process; kept on disk when `path` is given. For one process only.
    Memory {
        /// The file that keeps undelivered messages across restarts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
        /// The topics, by declared name.
        #[serde(default)]
        topics: BTreeMap<String, MemoryTopic>,
    },
    /// NATS JetStream.
    Nats {
        /// The servers' URLs, comma-separated.
        hosts: String,
        /// The topics, by declared name.
        #[serde(default)]
        topics: BTreeMap<String, NamedTopic>,
    },
    /// Google Cloud Pub/Sub.
    GcpPubsub {
        /// The project; may be given per topic and subscription instead.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project_id: Option<String>,
        /// The topics, by declared name.
        #[serde(default)]
        topics: BTreeMap<String, GcpTopic>,
    },
    /// Amazon SNS with SQS.
    AwsSnsSqs {
        /// The topics, by declared name.
        #[serde(default)]
        topics: BTreeMap<String, AwsTopic>,
    },
    /// NSQ. Read, so that Encore's files are understood; not supported.
    Nsq {
        /// The server.
        hosts: String,
        /// The topics, by declared name.
        #[serde(default)]
        topics: BTreeMap<String, NamedTopic>,
    },
}

/// A topic in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct MemoryTopic {
    /// The subscriptions, by declared name.
    pub subscriptions: BTreeMap<String, MemorySubscription>,
}

/// A subscription in memory; nothing needs to be said of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct MemorySubscription {}

/// A topic that its broker knows by a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NamedTopic {
    /// The broker's name for it.
    pub name: String,
    /// The subscriptions, by declared name.
    #[serde(default)]
    pub subscriptions: BTreeMap<String, NamedSubscription>,
}

/// A subscription that its broker knows by a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NamedSubscription {
    /// The broker's name for it.
    pub name: String,
}

/// A topic in Google Cloud Pub/Sub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GcpTopic {
    /// The topic's id in the project.
    pub name: String,
    /// The project, when it is not the broker's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// The subscriptions, by declared name.
    #[serde(default)]
    pub subscriptions: BTreeMap<String, GcpSubscription>,
}

/// A subscription in Google Cloud Pub/Sub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GcpSubscription {
    /// The subscription's id in the project.
    pub name: String,
    /// The project, when it is not the topic's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// How Google pushes messages to us; absent: we pull.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push_config: Option<PushConfig>,
}

/// How Google pushes messages to us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PushConfig {
    /// The id in the push URL.
    pub id: String,
    /// The service account that signs the tokens.
    pub service_account: String,
    /// The audience that the tokens must name; absent: not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt_audience: Option<String>,
}

/// A topic in Amazon SNS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AwsTopic {
    /// The topic's ARN.
    pub arn: String,
    /// The subscriptions, by declared name.
    #[serde(default)]
    pub subscriptions: BTreeMap<String, AwsSubscription>,
}

/// A subscription: an Amazon SQS queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AwsSubscription {
    /// The queue's URL.
    pub url: String,
}

/// An object store, with the buckets in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ObjectStorage {
    /// A folder on this machine.
    Disk {
        /// The folder.
        path: String,
        /// The buckets, by declared name.
        #[serde(default)]
        buckets: BTreeMap<String, BucketAddress>,
    },
    /// In this process; empty at each start.
    Memory {
        /// The buckets, by declared name.
        #[serde(default)]
        buckets: BTreeMap<String, BucketAddress>,
    },
    /// Amazon S3 and compatible stores.
    S3 {
        /// The region.
        region: String,
        /// The endpoint, for compatible stores.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint: Option<String>,
        /// The access key's id; absent: as the environment says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        access_key_id: Option<String>,
        /// The access key's secret; required with `access_key_id`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret_access_key: Option<SecretText>,
        /// The buckets, by declared name.
        #[serde(default)]
        buckets: BTreeMap<String, BucketAddress>,
    },
    /// Google Cloud Storage.
    Gcs {
        /// The endpoint, for emulators.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint: Option<String>,
        /// The buckets, by declared name.
        #[serde(default)]
        buckets: BTreeMap<String, BucketAddress>,
    },
}

/// A bucket in an object store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BucketAddress {
    /// The store's name for it.
    pub name: String,
    /// What every object's name in the store starts with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_prefix: Option<String>,
    /// Where anybody can read the objects of a public bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_base_url: Option<String>,
}

/// Whether scheduled jobs run in this process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Cron {
    /// `true`: they run on their schedules. `false`: only by hand.
    pub enabled: bool,
}

/// When a process applies migrations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
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
