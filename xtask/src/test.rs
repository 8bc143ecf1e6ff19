//! `cargo xtask test`: sets up what the suites need, runs every check, and says at the end what ran and what did not.
//!
//! The order is by cost: what fails in a second comes first. A failure stops nothing; the summary lists all of them.
//! The suites decide themselves whether they can run: they are told by `UNDERLAY_REQUIRE` what must be reachable.

mod cases;
mod features;
mod licences;
mod report;
mod servers;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::process::{self, cargo, shown};
use crate::tidy;
use report::{Outcome, Report, Tests};
use servers::Server;

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    /// The servers without which the run fails.
    require: Vec<Server>,
    /// Only tests whose names contain this.
    filter: Option<String>,
}

impl Options {
    fn parse(arguments: &[&str]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            if *argument == "--require" {
                let names = rest
                    .next()
                    .ok_or("`--require` wants `all`, or a list such as `docker,native`")?;
                options.require = servers::parse(names)?;
            } else if argument.starts_with('-') || options.filter.is_some() {
                return Err(format!(
                    "`{argument}` is not known; use `cargo xtask test [--require SERVERS] [FILTER]`"
                ));
            } else {
                options.filter = Some((*argument).to_owned());
            }
        }
        Ok(options)
    }

    /// Whether everything is required, so that an ignored test is a failure.
    fn complete(&self) -> bool {
        Server::ALL
            .iter()
            .all(|server| self.require.contains(server))
    }

    /// Whether warnings are errors.
    fn strict(&self) -> bool {
        !self.require.is_empty() || std::env::var_os("CI").is_some()
    }
}

/// Runs everything; the error is one sentence, after the summary.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<(), String> {
    let options = Options::parse(arguments)?;
    let mut report = Report::default();

    // Kept until the end: a server that was started here stops when its guard is dropped.
    let mut guards = Vec::new();
    for server in Server::ALL {
        let name = format!("server: {}", server.name());
        let required = options.require.contains(server);
        report.step(&name, || match servers::set_up(root, *server) {
            Ok(ready) => {
                guards.extend(ready.guard);
                Outcome::Ok(ready.how)
            }
            Err(why) if required => Outcome::Failed(why),
            Err(why) => Outcome::Absent(why),
        });
    }

    if options.filter.is_none() {
        let nothing = |()| String::new();
        report.step("tidy", || tidy::run(root).map(nothing).into());
        report.step("licences", || licences::check(root).into());
        report.step("features", || {
            features::check(root, options.strict()).into()
        });
        report.step("clippy", || {
            let deny = if options.strict() {
                " -- -D warnings"
            } else {
                ""
            };
            let line = format!("clippy --quiet --workspace --all-targets{deny}");
            process::run(&mut cargo(root, &line)).map(nothing).into()
        });
        report.step("documentation", || {
            let mut command = cargo(root, "doc --quiet --workspace --no-deps");
            if options.strict() {
                command.env("RUSTDOCFLAGS", "-D warnings");
            }
            process::run(&mut command).map(nothing).into()
        });
    }
    let mut tests = Tests::default();
    report.step("test", || run_tests(root, &options, &mut tests).into());
    drop(guards);
    report.finish(&tests)
}

/// Runs the tests with their output shown, and reads it for the summary.
fn run_tests(root: &Path, options: &Options, tests: &mut Tests) -> Result<String, String> {
    let mut command = cargo(root, "test --workspace --no-fail-fast");
    if let Some(filter) = &options.filter {
        command.args(["--", filter]);
    }
    let required: Vec<&str> = options.require.iter().map(|server| server.name()).collect();
    if !required.is_empty() {
        command.env(
            "UNDERLAY_REQUIRE",
            if options.complete() {
                "all".to_owned()
            } else {
                required.join(",")
            },
        );
    }
    let status = stream(&mut command, |line| tests.read_line(line))?;
    let counts = tests.counts();
    match &options.filter {
        Some(filter) if status && tests.is_empty() => {
            Err(format!("no test's name contains `{filter}`"))
        }
        _ if options.complete() && tests.any_ignored() => Err(format!(
            "{counts}; every suite is required, so none may be ignored"
        )),
        _ if status => Ok(counts),
        _ => Err(counts),
    }
}

/// Runs a command, passing its output on and each line of it to `read`; returns whether it succeeded.
fn stream(command: &mut Command, mut read: impl FnMut(&str)) -> Result<bool, String> {
    let name = shown(command);
    let child = command.stdout(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| format!("`{name}` could not be started: {error}"))?;
    let output = child.stdout.take().expect("the output was asked for");
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    let broken = |error| format!("the output of `{name}` broke off: {error}");
    while output.read_until(b'\n', &mut line).map_err(broken)? > 0 {
        // If nobody reads our output any more, the run goes on: its exit code still says what was found.
        let _ = std::io::stdout().write_all(&line);
        read(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    child.wait().map(|status| status.success()).map_err(broken)
}

/// The seconds since `start`, for people.
fn seconds(start: Instant) -> String {
    format!("{:.1} s", start.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options() {
        let docker = Options {
            require: vec![Server::Docker],
            filter: Some("topic".to_owned()),
        };
        assert_eq!(
            Options::parse(&["--require", "docker", "topic"]),
            Ok(docker)
        );
        assert!(
            Options::parse(&["--require", "all"])
                .is_ok_and(|options| options.complete() && options.strict())
        );
        for wrong in [
            &["--require"] as &[&str],
            &["--require", "oracle"],
            &["--verbose"],
            &["a", "b"],
        ] {
            assert!(Options::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
