//! The tables of the conformance suites: what each case came to on each backend, as the tests said.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// What became of cases, by suite (`topic`), case (`publish`) and backend (`nats`).
#[derive(Default)]
pub(super) struct Cases(BTreeMap<String, BTreeMap<String, BTreeMap<String, Cell>>>);

/// What stands for a case that no test was made of, for instance because its server cannot be had.
const NOT_RUN: &str = "not run";

enum Cell {
    Yes,
    Failed,
    /// The backend cannot do it, or it cannot be seen there; with why.
    No(String),
}

impl Cases {
    /// Reads one line of a test program: a case that has run, or why one is not to be run.
    pub(super) fn read_line(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("not applicable: [conformance] ") {
            if let Some((name, why)) = rest.split_once(": ") {
                self.note(name, Cell::No(why.to_owned()));
            }
            return;
        }
        let Some((name, result)) = line
            .strip_prefix("test [conformance] ")
            .and_then(|rest| rest.split_once(" ... "))
        else {
            return;
        };
        match result {
            "ok" => self.note(name, Cell::Yes),
            "FAILED" => self.note(name, Cell::Failed),
            _ => {}
        }
    }

    /// A name is `topic::nats::publish`; a backend may have more than one part.
    fn note(&mut self, name: &str, cell: Cell) {
        let Some((suite, rest)) = name.trim().split_once("::") else {
            return;
        };
        if let Some((backend, case)) = rest.rsplit_once("::") {
            let cases = self.0.entry(suite.to_owned()).or_default();
            let cells = cases.entry(case.to_owned()).or_default();
            cells.insert(backend.to_owned(), cell);
        }
    }

    /// The tables, each with the reasons for what is not `yes`; empty where no case has run.
    pub(super) fn tables(&self) -> String {
        let mut text = String::new();
        for (suite, cases) in &self.0 {
            let backends: BTreeSet<&str> = cases
                .values()
                .flat_map(|cells| cells.keys().map(String::as_str))
                .collect();
            let names = cases.keys().chain([suite]);
            let width = names.map(String::len).max().unwrap_or_default();
            let mut reasons: Vec<&str> = Vec::new();
            let mut row = |name: &str, cells: Vec<String>| {
                let cells: String = cells
                    .iter()
                    .zip(&backends)
                    .map(|(cell, backend)| {
                        let width = backend.len().max(NOT_RUN.len());
                        format!("  {cell:width$}")
                    })
                    .collect();
                writeln!(text, "{}", format!("{name:width$}{cells}").trim_end())
                    .expect("writing to a string cannot fail");
            };
            row(
                suite,
                backends.iter().map(|name| (*name).to_owned()).collect(),
            );
            for (case, cells) in cases {
                let cell = |backend: &&str| match cells.get(*backend) {
                    Some(Cell::Yes) => "yes".to_owned(),
                    Some(Cell::Failed) => "FAILED".to_owned(),
                    Some(Cell::No(why)) => {
                        let known = reasons.iter().position(|reason| reason == why);
                        let index = known.unwrap_or_else(|| {
                            reasons.push(why);
                            reasons.len() - 1
                        });
                        format!("no [{}]", index + 1)
                    }
                    None => NOT_RUN.to_owned(),
                };
                row(case, backends.iter().map(cell).collect());
            }
            for (index, why) in reasons.iter().enumerate() {
                writeln!(text, "[{}] {why}", index + 1).expect("writing to a string cannot fail");
            }
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_each_suite() {
        let mut cases = Cases::default();
        for line in [
            "not applicable: [conformance] topic::aws::moto::receive: it does not notice",
            "not applicable: [conformance] topic::nats::receive: it does not notice",
            "test [conformance] topic::nats::publish     ... ok",
            "test [conformance] topic::aws::moto::publish ... FAILED",
            "test [conformance] topic::memory::receive ... ok",
            "test [conformance] cache::memory::get ... ok",
            "test topic::nats::restart ... ok",
            "test result: FAILED. 2 passed; 1 failed; 3 ignored; 0 measured; 0 filtered out",
        ] {
            cases.read_line(line);
        }
        let expected = "\
cache  memory
get    yes

topic    aws::moto  memory   nats
publish  FAILED     not run  yes
receive  no [1]     yes      no [1]
[1] it does not notice

";
        assert_eq!(cases.tables(), expected);
        assert_eq!(Cases::default().tables(), "");
    }
}
