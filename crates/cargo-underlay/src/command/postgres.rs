//! `cargo underlay postgres`: the server binaries for machines that have neither Docker nor PostgreSQL.

use std::process::ExitCode;

use serde_json::json;
use underlay_local::install_postgres;

use crate::{failure::Failure, output::Output, progress::progress, session::block_on};

/// The PostgreSQL server binaries in the user's cache.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Download them, so that a later start needs no network.
    Install,
}

pub(crate) fn run(arguments: Arguments, output: &Output) -> Result<ExitCode, Failure> {
    let Action::Install = arguments.action;
    let folder = block_on(async { Ok(install_postgres(&progress()).await?) })?;
    if output.is_json() {
        output.document(&json!({ "folder": folder }));
    }
    output.line(folder.display());
    Ok(ExitCode::SUCCESS)
}
