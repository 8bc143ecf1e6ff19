//! Brokers in the infra config, with the topics on each. It does not know what topics promise; the model does.

use std::collections::BTreeMap;

use serde::Serialize;

use super::read::readable;

/// A broker, with the topics on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
        /// Whether what is missing there is created at start. For servers of one's own, emulators and previews; in
        /// production, infrastructure as code does it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        provision: bool,
        /// The topics, by declared name.
        #[serde(default)]
        topics: BTreeMap<String, NamedTopic>,
    },
    /// Google Cloud Pub/Sub.
    GcpPubsub {
        /// The project; may be given per topic and subscription instead.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project_id: Option<String>,
        /// Whether what is missing there is created at start. For servers of one's own, emulators and previews; in
        /// production, infrastructure as code does it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        provision: bool,
        /// The topics, by declared name.
        #[serde(default)]
        topics: BTreeMap<String, GcpTopic>,
    },
    /// Amazon SNS with SQS.
    AwsSnsSqs {
        /// Whether what is missing there is created at start. For servers of one's own, emulators and previews; in
        /// production, infrastructure as code does it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        provision: bool,
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

impl PubSub {
    /// The file that keeps the messages of a broker inside the process, which one process at a time can have open.
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Memory { path, .. } => path.as_deref(),
            _ => None,
        }
    }

    /// Whether the messages are in the memory of one process, so that no other sees them.
    pub fn is_of_one_process(&self) -> bool {
        matches!(self, Self::Memory { path: None, .. })
    }
}

/// A topic in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct MemoryTopic {
    /// The subscriptions, by declared name.
    pub subscriptions: BTreeMap<String, MemorySubscription>,
}

/// A subscription in memory; nothing needs to be said of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct MemorySubscription {}

/// A topic that its broker knows by a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NamedSubscription {
    /// The broker's name for it.
    pub name: String,
}

/// A topic in Google Cloud Pub/Sub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PushConfig {
    /// The id in the push URL.
    pub id: String,
    /// The service account that signs the tokens.
    pub service_account: String,
    /// The audience that the tokens must name; absent: the push URL, `<base_url>/__underlay/pubsub/push/<id>`, which is
    /// what Google takes, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt_audience: Option<String>,
}

/// A topic in Amazon SNS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AwsSubscription {
    /// The queue's URL.
    pub url: String,
}

readable!(enum PubSub "broker" {
    Memory "memory" { path, topics },
    Nats "nats" { hosts, provision, topics },
    GcpPubsub "gcp_pubsub" { project_id, provision, topics },
    AwsSnsSqs "aws_sns_sqs" { provision, topics },
    Nsq "nsq" { hosts, topics },
});
readable!(struct MemoryTopic { subscriptions });
readable!(
    struct MemorySubscription {}
);
readable!(struct NamedTopic { name, subscriptions });
readable!(struct NamedSubscription { name });
readable!(struct GcpTopic { name, project_id, subscriptions });
readable!(struct GcpSubscription { name, project_id, push_config });
readable!(struct PushConfig { id, service_account, jwt_audience });
readable!(struct AwsTopic { arn, subscriptions });
readable!(struct AwsSubscription { url });
