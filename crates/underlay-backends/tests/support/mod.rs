//! What the test programs of the backends share: how a case becomes a test, and what is said of one that does not run.

use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use tokio::time::timeout;
use underlay_backends::conformance::{Case, Clock, is_required};

/// Longer than any test takes.
const PATIENCE: Duration = Duration::from_secs(120);
/// By this `cargo xtask test` knows the cases of the suites, of which it prints a table.
const KIND: &str = "conformance";

/// A case as a test, of a suite such as `topic::nats`; none where the backend declares that it cannot do that, which
/// `docs/backends.md` says, too.
pub(crate) fn trial(suite: &str, clock: Clock, case: Case) -> Option<Trial> {
    let name = format!("{suite}::{}", case.name);
    if let Some(lacking) = case.lacking {
        not_applicable(&name, &format!("it declares that it lacks {lacking}"));
        return None;
    }
    Some(Trial::test(name, move || run(clock, case.run())).with_kind(KIND))
}

/// Says why a case is no test.
pub(crate) fn not_applicable(name: &str, why: &str) {
    // A list of tests holds nothing else.
    if !std::env::args().any(|argument| argument == "--list") {
        println!("not applicable: [{KIND}] {name}: {why}");
    }
}

/// In place of a suite whose server cannot be had: a test that does not run, or fails where `UNDERLAY_REQUIRE` names the
/// server.
#[allow(dead_code, reason = "not every suite needs a server")]
pub(crate) fn unreachable(suite: &str, server: &str, reason: &str) -> Trial {
    let text = format!("{server} cannot be had: {reason}");
    let is_required = is_required(server);
    if !is_required {
        eprintln!("ignored: {suite}: {text}");
    }
    let name = format!("{suite}::reachable");
    Trial::test(name, move || Err(Failed::from(text))).with_ignored_flag(!is_required)
}

/// Runs a test in a runtime of its own.
pub(crate) fn run(clock: Clock, test: impl Future<Output = ()>) -> Result<(), Failed> {
    let is_paused = clock == Clock::Paused;
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(is_paused).build();
    runtime?.block_on(async {
        if is_paused {
            // Nothing takes time on this clock, which a limit would only move.
            test.await;
            return Ok(());
        }
        let limited = timeout(PATIENCE, test).await;
        limited.map_err(|_| Failed::from(format!("not done after {PATIENCE:?}")))
    })
}
