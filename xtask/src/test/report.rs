//! What a run of `cargo xtask test` tells at its end: each step with its time, and each test that did not run, with why.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Instant;

use super::seconds;

/// The steps of a run.
#[derive(Default)]
pub(super) struct Report {
    steps: Vec<Step>,
}

struct Step {
    name: String,
    time: String,
    result: Result<String, String>,
}

impl Report {
    /// Runs one step and keeps what became of it.
    pub(super) fn step(&mut self, name: &str, run: impl FnOnce() -> Result<String, String>) {
        println!("==> {name}");
        let start = Instant::now();
        let result = run();
        if let Err(message) = &result {
            eprintln!("{message}");
        }
        self.steps.push(Step {
            name: name.to_owned(),
            time: seconds(start),
            result,
        });
    }

    /// Prints the summary; the error says which steps failed.
    pub(super) fn finish(&self, tests: &Tests) -> Result<(), String> {
        println!("\n{}", self.summary(tests));
        let failed = self.steps.iter().filter(|step| step.result.is_err());
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
        for Step { name, time, result } in &self.steps {
            let (word, detail) = match result {
                Ok(detail) => ("ok", detail),
                Err(detail) => ("FAILED", detail),
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
        for name in &tests.failed {
            writeln!(text, "failed: {name}").expect("writing to a string cannot fail");
        }
        for (reason, names) in &tests.ignored {
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
    pub(super) failed: Vec<String>,
    /// The names of the ignored tests, by reason.
    pub(super) ignored: BTreeMap<String, Vec<String>>,
}

impl Tests {
    /// Reads one line of a harness's output; libtest's and libtest-mimic's are the same.
    pub(super) fn read_line(&mut self, line: &str) {
        let Some((name, result)) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.rsplit_once(" ... "))
        else {
            return;
        };
        let (word, reason) = result.split_once(", ").unwrap_or((result, ""));
        match word {
            "ok" => self.passed += 1,
            "FAILED" => self.failed.push(name.to_owned()),
            "ignored" => {
                let reason = if reason.is_empty() {
                    "no reason was given"
                } else {
                    reason
                };
                self.ignored
                    .entry(reason.to_owned())
                    .or_default()
                    .push(name.to_owned());
            }
            _ => {}
        }
    }

    /// The numbers, as one sentence.
    pub(super) fn counts(&self) -> String {
        let ignored: usize = self.ignored.values().map(Vec::len).sum();
        format!(
            "{} passed, {} failed, {ignored} ignored",
            self.passed,
            self.failed.len()
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
            "test [docker] e ... ignored, docker: no socket at /var/run/docker.sock",
            "test crates/a/src/lib.rs - f (line 3) ... ignored",
            "test result: FAILED. 2 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out",
        ] {
            tests.read_line(line);
        }
        assert_eq!(tests.counts(), "2 passed, 1 failed, 2 ignored");
        let mut report = Report::default();
        report.steps.push(Step {
            name: "test".to_owned(),
            time: "1.0 s".to_owned(),
            result: Err(tests.counts()),
        });
        report.steps.push(Step {
            name: "tidy".to_owned(),
            time: "0.1 s".to_owned(),
            result: Ok(String::new()),
        });
        let expected = "\
test     1.0 s  FAILED  2 passed, 1 failed, 2 ignored
tidy     0.1 s  ok
failed: d
ignored, because docker: no socket at /var/run/docker.sock: 1 ([docker] e)
ignored, because no reason was given: 1 (crates/a/src/lib.rs - f (line 3))
";
        assert_eq!(report.summary(&tests), expected);
        assert_eq!(report.finish(&tests), Err("failed: test".to_owned()));
    }
}
