//! `cargo underlay topic`: what people do with a declared topic.

mod dead_letters;

use std::process::ExitCode;

use crate::{failure::Failure, output::Output};

/// Topics: the messages that their subscriptions have given up.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    DeadLetters(dead_letters::Arguments),
}

pub(crate) fn run(arguments: Arguments, output: &Output) -> Result<ExitCode, Failure> {
    match arguments.action {
        Action::DeadLetters(arguments) => dead_letters::run(arguments, output),
    }
}
