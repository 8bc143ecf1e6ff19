//! The `cargo underlay` command: tells a subcommand from another, and turns its outcome into text and an exit code.
//!
//! What a subcommand does is in its own file under [`command`]; nothing here knows object files, cargo or servers.

mod access;
mod arguments;
mod binary;
mod checked;
mod child;
mod command;
mod compile;
mod confirm;
mod declared;
mod environment;
mod examination;
mod failure;
mod file;
mod job;
mod module_tree;
mod nested;
mod output;
mod progress;
mod session;
mod signal;
mod stale;
mod table;
mod unlinked;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

use crate::{arguments::Arguments, output::Output};

fn main() -> ExitCode {
    if let Some(code) = command::db::wrapper(std::env::args_os()) {
        return code;
    }
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
