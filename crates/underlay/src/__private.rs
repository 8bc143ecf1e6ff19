//! The one door through which the attributes' expansions enter. Not public API: anything here may change in any
//! release, and the macros are pinned to the exact version.

pub use axum;
pub use bytes::Bytes;
pub use core;
pub use linkme;
pub use serde;
pub use std;
pub use underlay_model::fragment::{fragment, fragment_len};

pub use crate::api::Register;
pub use crate::bucket::Bucket;
pub use crate::cache::{CacheCluster, CacheKey, KeyPart, Place};
pub use crate::cron::CronHandler;
#[cfg(feature = "postgres")]
pub use crate::database::{Database, EmbeddedMigration};
#[cfg(feature = "postgres")]
pub use crate::declared::DeclaredDatabase;
pub use crate::declared::{
    DeclaredBucket, DeclaredCache, DeclaredTopic, HandlerOutcome, MessageOf, check_attribute,
    check_key_pattern, check_public,
};
pub use crate::inventory::{DECLARATIONS, Declaration, Item};
pub use crate::keyspace::{Keyspace, ListKeyspace, SetKeyspace, StructKeyspace};
#[cfg(feature = "postgres")]
pub use crate::reference::DatabaseRef;
pub use crate::reference::{BucketRef, CacheRef, Permission, Publisher, TopicRef};
pub use crate::secret::{Secret, SecretCell, SecretType, SecretValue};
pub use crate::subscription::{Delivery, Handle, HandlerError, HandlerFuture};
pub use crate::task::SeedHandler;
pub use crate::topic::{AttributeValue, Message, Topic};

/// What `#[underlay::main]` expands to: runs the body on a runtime, and tells a failure.
pub use crate::main_fn::{Outcome, main};
/// What `#[underlay::test]` expands to: runs the body in a scope of its own.
pub use crate::testing::run as test;
