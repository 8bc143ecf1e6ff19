//! The conformance suites: one per trait, one case per bullet of the traits' `# Behavior`.
//!
//! A suite knows a backend by its harness only, which makes fresh topics, buckets and caches and says what they can
//! do. It runs no test itself: a test program asks for the cases and runs each in a runtime of its own, with tokio's
//! clock paused where the harness says so.
//!
//! A case fails by panicking.

mod bucket;
mod cache;
mod topic;

use std::{pin::Pin, time::Duration};

pub use bucket::{BucketHarness, BucketUnderTest, SignedRequest, bucket_cases};
pub use cache::{CacheHarness, CacheUnderTest, cache_cases};
pub use topic::{TopicHarness, TopicUnderTest, topic_cases};

/// Which time a backend's leases and expiries follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Tokio's: the runtime is to be started with its clock paused, and no case takes time.
    Paused,
    /// A server's.
    Real,
}

impl Clock {
    /// A time that is long against what the backend needs for an answer; leases and expiries are made of it.
    pub fn unit(self) -> Duration {
        match self {
            Self::Paused => Duration::from_secs(60),
            Self::Real => Duration::from_millis(1500),
        }
    }
}

/// One check of one bullet.
pub struct Case {
    /// The bullet's name.
    pub name: &'static str,
    /// What the backend would have to be able to do; it says that it cannot, so the case does not apply.
    pub lacking: Option<&'static str>,
    run: Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>,
}

impl Case {
    /// Runs the check.
    ///
    /// # Panics
    ///
    /// When the backend does not do what the bullet says.
    pub async fn run(self) {
        (self.run)().await;
    }
}

/// Whether `UNDERLAY_REQUIRE` (`redis,nats`, or `all`) makes it a failure that a provider cannot be reached.
pub fn is_required(provider: &str) -> bool {
    let Ok(required) = std::env::var("UNDERLAY_REQUIRE") else {
        return false;
    };
    required
        .split(',')
        .map(str::trim)
        .any(|name| name == provider || name == "all")
}

/// The cases of a suite: each an async function of the harness, with the capability that it needs.
macro_rules! cases {
    ($harness:expr, $($name:ident $(if $capable:expr, $what:literal)?;)*) => {
        vec![$({
            let harness = std::sync::Arc::clone(&$harness);
            #[allow(unused_mut, unused_assignments, reason = "only some cases need a capability")]
            let mut lacking = None;
            $(if !$capable { lacking = Some($what); })?
            $crate::conformance::Case {
                name: stringify!($name),
                lacking,
                run: Box::new(move || Box::pin(async move { $name(&*harness).await })),
            }
        }),*]
    };
}
use cases;
