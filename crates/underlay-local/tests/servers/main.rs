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
mod docker;
mod ladder;
mod manage;
mod managed;
mod native;
mod test_databases;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

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
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Makes trials of one suite: ignored with the reason when its server is out of reach, unless `UNDERLAY_REQUIRE`
/// names the suite (or `all`); then they fail with the reason.
fn suite(name: &'static str, absent: Option<String>, tests: &[(&'static str, fn())]) -> Vec<Trial> {
    let required = std::env::var("UNDERLAY_REQUIRE").unwrap_or_default();
    let is_required = required
        .split(',')
        .any(|it| it.trim() == name || it.trim() == "all");
    tests
        .iter()
        .map(|(title, test)| {
            let test = *test;
            match &absent {
                None => Trial::test(format!("{name}::{title}"), move || {
                    test();
                    Ok(())
                }),
                Some(reason) => {
                    let reason = reason.clone();
                    let title = format!("{name}::{title} ({reason})");
                    Trial::test(title, move || Err(reason.into())).with_ignored_flag(!is_required)
                }
            }
        })
        .collect()
}
