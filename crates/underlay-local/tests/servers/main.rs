//! The provisioner against real servers: each rung of the ladder, and what keeps it honest.
//!
//! Every provisioning runs in a process of its own, this same program with `UNDERLAY_LOCAL_APPLICATION` set: so that
//! it can be killed, and has its own environment. The suites know the servers; this file knows how they are started.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and talks through its output"
)]

mod application;
mod conformance;
mod docker;
mod ladder;
mod manage;
mod managed;
mod native;
mod plain;
mod test_databases;
mod url;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

fn main() -> ExitCode {
    if let Ok(request) = std::env::var("UNDERLAY_LOCAL_APPLICATION") {
        return application::run(&request);
    }
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = Vec::new();
    trials.extend(ladder::trials());
    trials.extend(native::trials());
    trials.extend(managed::trials());
    trials.extend(test_databases::trials());
    trials.extend(docker::trials());
    trials.extend(manage::trials());
    trials.extend(url::trials());
    trials.extend(conformance::trials());
    let conclusion = libtest_mimic::run(&arguments, trials);
    conformance::finish();
    conclusion.exit_code()
}

/// Makes trials of one suite: ignored with the reason when its server is out of reach, unless `UNDERLAY_REQUIRE`
/// names the suite (or `all`); then they fail with the reason.
fn suite(name: &'static str, absent: Option<String>, tests: &[(&'static str, fn())]) -> Vec<Trial> {
    tests
        .iter()
        .map(|(title, test)| {
            let test = *test;
            let run = move || {
                test();
                Ok(Completion::Completed)
            };
            trial(name, format!("{name}::{title}"), &absent, run)
        })
        .collect()
}

/// Makes one trial of a suite, see [`suite`]. It may find that the server lacks something that it is about.
fn trial(
    suite: &str,
    title: String,
    absent: &Option<String>,
    run: impl FnOnce() -> Result<Completion, Failed> + Send + 'static,
) -> Trial {
    let required = std::env::var("UNDERLAY_REQUIRE").unwrap_or_default();
    let is_required = required
        .split(',')
        .any(|it| it.trim() == suite || it.trim() == "all");
    match absent.clone() {
        None => Trial::ignorable_test(title, run),
        Some(reason) => {
            let title = format!("{title} ({reason})");
            Trial::test(title, move || Err(reason.into())).with_ignored_flag(!is_required)
        }
    }
}
