//! Where metrics go, in the infra config. It does not know how they are sent.

use std::collections::BTreeMap;

use serde::Serialize;

use super::SecretText;
use super::read::{Read, Reader, readable};

/// Where metrics go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Seconds between two exports. Default 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection_interval: Option<u32>,
    /// The system that takes them.
    #[serde(flatten)]
    pub exporter: MetricsExporter,
}

/// The system that takes metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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

readable!(enum MetricsExporter "metrics exporter" {
    Prometheus "prometheus" { remote_write_url },
    Datadog "datadog" { site, api_key },
    GcpCloudMonitoring "gcp_cloud_monitoring" {
        project_id,
        monitored_resource_type,
        monitored_resource_labels,
        metric_names
    },
    AwsCloudwatch "aws_cloudwatch" { namespace },
});

/// The exporter's fields stand beside those of all exporters.
impl Read for Metrics {
    fn placeholder() -> Self {
        Self {
            collection_interval: None,
            exporter: Read::placeholder(),
        }
    }

    fn read(value: &serde_json::Value, reader: &mut Reader<'_>) -> Self {
        let Some(mut object) = reader.object(value) else {
            return Self::placeholder();
        };
        let collection_interval = object.field("collection_interval", Read::absent, reader);
        let Some(exporter) = MetricsExporter::read_fields(&mut object, reader) else {
            return Self::placeholder();
        };
        object.finish(reader);
        Self {
            collection_interval,
            exporter,
        }
    }
}
