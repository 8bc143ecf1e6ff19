//! Declare the infrastructure that a Rust backend needs as statics in its own code; run it anywhere.
//!
//! Each attribute checks its declaration while compiling and registers it; [`run`] finds where everything is, binds
//! the statics, serves the endpoints and feeds the subscriptions.

// The attributes expand to absolute paths; this makes them work in this crate's own documentation and tests, too.
extern crate self as underlay;

mod api;
mod app;
mod bind;
mod bucket;
mod cache;
mod config;
mod consume;
mod cron;
#[cfg(feature = "postgres")]
mod database;
mod dead_letters;
mod declared;
mod error;
mod handle;
#[cfg(feature = "postgres")]
mod idempotence;
mod inventory;
mod keyspace;
mod listen;
mod local;
mod logs;
mod main_fn;
#[cfg(feature = "postgres")]
mod outbox;
mod push;
mod reference;
mod schedule;
mod secret;
mod server;
mod signal;
#[cfg(feature = "postgres")]
mod sql;
mod start;
mod subscription;
mod task;
#[doc(hidden)]
pub mod testing;
mod topic;

#[doc(hidden)]
pub mod __private;
pub mod prelude;

pub use app::{App, run, start};
pub use bucket::{Bucket, Download, List, Object, Objects, Precondition, Upload};
pub use cache::{CacheCluster, CacheKey, CacheValue, Expiry, KeyPart};
#[cfg(feature = "postgres")]
pub use database::{ConnectionString, Database, Isolation, PoolStatus, TransactionOptions, Tx};
pub use dead_letters::{DeadLetter, DeadLetters};
pub use error::{Error, ErrorKind, Result};
#[cfg(feature = "postgres")]
pub use idempotence::DeliveryTx;
pub use keyspace::{
    FloatKeyspace, IntKeyspace, IntListKeyspace, IntSetKeyspace, Keyspace, ListKeyspace,
    SetKeyspace, StringKeyspace, StringListKeyspace, StringSetKeyspace, StructKeyspace,
};
#[cfg(feature = "postgres")]
pub use reference::DatabaseRef;
pub use reference::{
    Attrser, BucketRef, CacheRef, Downloader, Grants, Lister, Permission, PublicUrler, Publisher,
    ReadOnly, ReadWrite, Remover, SignedDownloader, SignedUploader, TopicRef, Uploader,
};
pub use secret::{Secret, SecretValue};
pub use subscription::{Delivery, HandlerError};
pub use topic::{AttributeValue, Message, MessageId, Publish, PublishOptions, Topic};
pub use underlay_macros::{
    CacheKey, Message, api, bucket, cache, cron, database, keyspace, main, reference, secret, seed,
    service, subscription, test, topic,
};

pub use config::model;
#[cfg(feature = "postgres")]
pub use sqlx;
pub use start::Running;
pub use {axum, underlay_model};
