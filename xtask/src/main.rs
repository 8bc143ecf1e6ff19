//! The project's own tasks, as `cargo xtask <task>`.
//!
//! It is built on a bare machine before anything else, so it depends on none of the project's crates: what needs them
//! (generated documents, benches) is a test or a binary elsewhere that a task here runs.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is a command; printing is its output"
)]

mod bench;
mod docs;
mod process;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask <task>

  tidy                              checks what the compiler does not: crate arrows, documents, forbidden words, formatting
  test [--require SERVERS] [FILTER] sets up the servers that the suites need, runs everything, says what was ignored and why
                                    SERVERS is `all`, or a list of docker,native,managed: these must be reachable
                                    with FILTER, only the tests whose names contain it
  bench [NAME]                      prints each figure beside its bare baseline and the ratio; without NAME, all of them
  docs [--check]                    writes docs/schema/ and docs/backends.md from the code, or checks that they are current";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["tidy"] => tidy::run(&root()),
        ["test", rest @ ..] => test::run(&root(), rest),
        ["bench"] => bench::run(&root(), None),
        ["bench", name] => bench::run(&root(), Some(name)),
        ["docs"] => docs::run(&root(), docs::Mode::Write),
        ["docs", "--check"] => docs::run(&root(), docs::Mode::Check),
        [] | ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        other => Err(format!("no such task: `{}`\n\n{USAGE}", other.join(" "))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the root of the repository")
        .to_path_buf()
}
