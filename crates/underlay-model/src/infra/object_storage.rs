//! Object stores in the infra config, with the buckets in each. It does not know what buckets promise.

use std::collections::BTreeMap;

use serde::Serialize;

use super::SecretText;
use super::read::readable;

/// An object store, with the buckets in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ObjectStorage {
    /// A folder on this machine.
    Disk {
        /// The folder.
        path: String,
        /// Whether a write returns only when it is on the medium, so that a power failure loses nothing; a killed
        /// process loses nothing either way. Default: yes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sync: Option<bool>,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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

readable!(enum ObjectStorage "object store" {
    Disk "disk" { path, sync, buckets },
    Memory "memory" { buckets },
    S3 "s3" { region, endpoint, access_key_id, secret_access_key, buckets },
    Gcs "gcs" { endpoint, buckets },
});
readable!(struct BucketAddress { name, key_prefix, public_base_url });
