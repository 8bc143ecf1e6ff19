//! What the provisioner tells while it works. It prints nothing itself: whoever calls it decides how this looks.

use std::{
    future::Future,
    time::{Duration, Instant},
};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A server was chosen; one line that says which and why not the one above.
    Chosen {
        /// Such as `postgres: native 17.6 (/usr/lib/postgresql/17/bin), because Docker is not running (…)`.
        line: &'a str,
    },
    /// Something that takes its time has come this far.
    Progress {
        /// What is done, such as `pulling postgres:17`.
        what: &'a str,
        /// The bytes or steps done.
        done: u64,
        /// Out of how many, when that is known.
        total: Option<u64>,
    },
    /// What [`Event::Progress`] told of has ended, well or not.
    ProgressEnd {
        /// As in the progress events before.
        what: &'a str,
    },
    /// A wait has lasted longer than a second; sent once per second.
    Waiting {
        /// What is waited for.
        cause: &'a str,
        /// For how long already.
        elapsed: Duration,
    },
    /// Something was mended or is not as one may expect.
    Notice {
        /// One sentence.
        message: &'a str,
    },
    /// A detail for those who look for it.
    Debug {
        /// One sentence.
        message: &'a str,
    },
}

/// Takes the provisioner's events.
pub trait Reporter: Send + Sync {
    /// Called for each event, from the task that provisions; must not block.
    fn report(&self, event: Event<'_>);
}

/// A reporter that drops everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn report(&self, _event: Event<'_>) {}
}

/// Awaits `future`, and reports once per second what it is that takes so long.
pub(crate) async fn waiting<T>(
    reporter: &dyn Reporter,
    cause: &str,
    future: impl Future<Output = T>,
) -> T {
    let start = Instant::now();
    let mut future = std::pin::pin!(future);
    loop {
        match tokio::time::timeout(Duration::from_secs(1), &mut future).await {
            Ok(output) => return output,
            Err(_) => reporter.report(Event::Waiting {
                cause,
                elapsed: start.elapsed(),
            }),
        }
    }
}
