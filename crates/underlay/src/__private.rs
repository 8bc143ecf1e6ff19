//! The one door through which the attributes' expansions enter. Not public API: anything here may change in any
//! release, and the macros are pinned to the exact version.

pub use axum;
pub use linkme;
pub use underlay_model::fragment::{fragment, fragment_len};

pub use crate::api::Register;
pub use crate::bucket::Bucket;
pub use crate::cache::{CacheCluster, CacheKey, KeyPart, Place};
pub use crate::cron::CronHandler;
#[cfg(feature = "postgres")]
pub use crate::database::{Database, EmbeddedMigration};
pub use crate::inventory::{DECLARATIONS, Declaration, Item};
#[cfg(feature = "postgres")]
pub use crate::reference::DatabaseRef;
pub use crate::reference::{BucketRef, CacheRef, Permission, TopicRef};
pub use crate::secret::{SecretCell, SecretValue};
pub use crate::subscription::{__decode as decode, Delivery, Handle, HandlerError, HandlerFuture};
pub use crate::topic::{AttributeValue, Message, Topic};

/// What a declared resource's marker type says of it while compiling.
///
/// Each resource attribute puts an uninhabited type beside the static, of the same name but in the type namespace,
/// so that `orders::CART_EVENTS` in another attribute finds both, and an import brings both.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a declared resource",
    label = "name a static that a resource attribute declares"
)]
pub trait Declared {
    /// `database`, `topic`, `bucket` or `cache`, as in the model.
    const KIND: &'static str;
    /// The declared name.
    const NAME: &'static str;
}

/// A declared database.
#[cfg(feature = "postgres")]
#[diagnostic::on_unimplemented(message = "`{Self}` is not a database", label = "name a `#[database]` static")]
pub trait DeclaredDatabase: Declared {}

/// A declared topic, or a reference to one.
#[diagnostic::on_unimplemented(message = "`{Self}` is not a topic", label = "name a `#[topic]` static")]
pub trait DeclaredTopic: Declared {
    /// What it carries.
    type Message: Message;
}

/// A declared bucket.
#[diagnostic::on_unimplemented(message = "`{Self}` is not a bucket", label = "name a `#[bucket]` static")]
pub trait DeclaredBucket: Declared {}

/// A declared cache cluster, or a reference to one.
#[diagnostic::on_unimplemented(message = "`{Self}` is not a cache cluster", label = "name a `#[cache]` static")]
pub trait DeclaredCache: Declared {}

/// What `#[underlay::main]` expands to: runs the body on a runtime, and tells a failure.
pub use crate::main_fn::{Outcome, main};
/// What `#[underlay::test]` expands to: runs the body in a scope of its own.
pub use crate::testing::run as test;
