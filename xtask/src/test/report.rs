//! What a run of `cargo xtask test` tells at its end: each step with its time, and each test that did not run, with why.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Instant;

use super::{cases::Cases, seconds};

/// The steps of a run.
#[derive(Default)]
pub(super) struct Report {
    steps: Vec<Step>,
}

struct Step {
    name: String,
    time: String,
    outcome: Outcome,
}

/// What became of a step, with a sentence or nothing.
pub(super) enum Outcome {
    Ok(String),
    /// It could not be, and need not.
    Absent(String),
    Failed(String),
}

impl From<Result<String, String>> for Outcome {
    fn from(result: Result<String, String>) -> Self {
        result.map_or_else(Self::Failed, Self::Ok)
    }
}

impl Report {
    /// Runs one step and keeps what became of it.
    pub(super) fn step(&mut self, name: &str, run: impl FnOnce() -> Outcome) {
        println!("==> {name}");
        let start = Instant::now();
        let outcome = run();
        if let Outcome::Failed(message) = &outcome {
            eprintln!("{message}");
        }
        self.steps.push(Step {
            name: name.to_owned(),
            time: seconds(start),
            outcome,
        });
    }

    /// Prints the summary; the error says which steps failed.
    pub(super) fn finish(&self, tests: &Tests) -> Result<(), String> {
        println!("\n{}{}", tests.cases.tables(), self.summary(tests));
        let failed = self
            .steps
            .iter()
            .filter(|step| matches!(step.outcome, Outcome::Failed(_)));
        let failed: Vec<&str> = failed.map(|step| step.name.as_str()).collect();
        if failed.is_empty() {
            Ok(())
        } else {
            Err(format!("failed: {}", failed.join(", ")))
        }
    }

    fn summary(&self, tests: &Tests) -> String {
        let mut text = String::new();
        let width = self
            .steps
            .iter()
            .map(|step| step.name.len())
            .max()
            .unwrap_or_default();
        for Step {
            name,
            time,
            outcome,
        } in &self.steps
        {
            let (word, detail) = match outcome {
                Outcome::Ok(detail) => ("ok", detail),
                Outcome::Absent(detail) => ("absent", detail),
                Outcome::Failed(detail) => ("FAILED", detail),
            };
            // The whole message was printed when it happened.
            let detail = detail.lines().last().unwrap_or_default();
            writeln!(
                text,
                "{}",
                format!("{name:width$}  {time:>8}  {word:6}  {detail}").trim_end()
            )
            .expect("writing to a string cannot fail");
        }
        for name in &tests.failures {
            writeln!(text, "failed: {name}").expect("writing to a string cannot fail");
        }
        for (reason, names) in &tests.reasons {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            writeln!(
                text,
                "ignored, because {reason}: {} ({})",
                names.len(),
                names.join(", ")
            )
            .expect("writing to a string cannot fail");
        }
        text
    }
}

/// What the test harnesses said, over all test binaries.
#[derive(Default)]
pub(super) struct Tests {
    passed: usize,
    failed: usize,
    ignored: usize,
    failures: Vec<String>,
    /// The names of the ignored tests, by reason.
    reasons: BTreeMap<String, Vec<String>>,
    cases: Cases,
}

impl Tests {
    /// Reads one line of a harness's output: libtest's, or libtest-mimic's, which differs in how it gives reasons.
    pub(super) fn read_line(&mut self, line: &str) {
        self.cases.read_line(line);
        // The numbers are taken from here: what a test prints may tear its own line apart.
        if let Some(result) = line.strip_prefix("test result: ") {
            for part in result.split(['.', ';']) {
                match part.trim().split_once(' ') {
                    Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                    Some((number, "failed")) => self.failed += number.parse().unwrap_or(0),
                    Some((number, "ignored")) => self.ignored += number.parse().unwrap_or(0),
                    _ => {}
                }
            }
            return;
        }
        let Some((name, result)) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.split_once(" ... "))
        else {
            return;
        };
        let name = name.trim().to_owned();
        if result == "FAILED" {
            self.failures.push(name);
        } else if let Some(reason) = result.strip_prefix("ignored") {
            let in_brackets = reason
                .strip_prefix(" (")
                .and_then(|reason| reason.strip_suffix(')'));
            let reason = in_brackets
                .or_else(|| reason.strip_prefix(", "))
                .unwrap_or("no reason was given");
            self.reasons
                .entry(reason.to_owned())
                .or_default()
                .push(name);
        }
    }

    /// Whether there was no test at all.
    pub(super) fn is_empty(&self) -> bool {
        self.passed + self.failed + self.ignored == 0
    }

    /// Whether any test was ignored.
    pub(super) fn any_ignored(&self) -> bool {
        self.ignored > 0
    }

    /// The numbers, as one sentence.
    pub(super) fn counts(&self) -> String {
        format!(
            "{} passed, {} failed, {} ignored",
            self.passed, self.failed, self.ignored
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_harnesses_say_is_counted() {
        let mut tests = Tests::default();
        for line in [
            "running 4 tests",
            "test a::b ... ok",
            "test a::c - should panic ... ok",
            "test d ... FAILED",
            "test [docker] e    ... ignored (docker: no socket at /var/run/docker.sock)",
            "test g ... ignored, slow (very)",
            "test crates/a/src/lib.rs - f (line 3) ... ignored",
            "test result: FAILED. 2 passed; 1 failed; 3 ignored; 0 measured; 0 filtered out",
        ] {
            tests.read_line(line);
        }
        assert_eq!(tests.counts(), "2 passed, 1 failed, 3 ignored");
        let mut report = Report::default();
        report.steps.push(Step {
            name: "test".to_owned(),
            time: "1.0 s".to_owned(),
            outcome: Outcome::Failed(tests.counts()),
        });
        report.steps.push(Step {
            name: "tidy".to_owned(),
            time: "0.1 s".to_owned(),
            outcome: Outcome::Ok(String::new()),
        });
        let expected = "\
test     1.0 s  FAILED  2 passed, 1 failed, 3 ignored
tidy     0.1 s  ok
failed: d
ignored, because docker: no socket at /var/run/docker.sock: 1 ([docker] e)
ignored, because no reason was given: 1 (crates/a/src/lib.rs - f (line 3))
ignored, because slow (very): 1 (g)
";
        assert_eq!(report.summary(&tests), expected);
        assert_eq!(report.finish(&tests), Err("failed: test".to_owned()));
    }
}
