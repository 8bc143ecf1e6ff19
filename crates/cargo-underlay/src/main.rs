//! The `cargo underlay` command: tells a subcommand from another, and turns its outcome into text and an exit code.
//!
//! What a subcommand does is in its own file under [`command`]; nothing here knows object files, cargo or servers.

mod arguments;
mod binary;
mod command;
mod compile;
mod confirm;
mod examination;
mod failure;
mod file;
mod nested;
mod output;
mod progress;
mod session;
mod signal;
mod table;
mod unlinked;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

use crate::{arguments::Arguments, output::Output};

fn main() -> ExitCode {
    // Cargo calls `cargo-underlay underlay …`; without cargo the first `underlay` is not there.
    let mut arguments: Vec<_> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|it| it == "underlay") {
        arguments.remove(1);
    }
    let Arguments { json, command } = Arguments::parse_from(arguments);
    let output = Output::new(json);
    match command.run(&output) {
        Ok(code) => code,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.code)
        }
    }
}
