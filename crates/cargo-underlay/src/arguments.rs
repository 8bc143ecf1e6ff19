//! The command line: the subcommands, and the arguments that several of them share. Does nothing itself.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use underlay_local::Checkout;

use crate::{command, failure::Failure, output::Output};

/// Read, check and provision what a Rust backend declares.
#[derive(Parser)]
#[command(
    name = "cargo-underlay",
    bin_name = "cargo underlay",
    version,
    arg_required_else_help = true
)]
#[command(
    after_help = "Exit codes: 0 done; 1 it failed, or problems were found; 2 wrong usage.\n\
    With --json, standard output is one JSON document: the result, or on failure a list of problems \
    {severity, message, sources}."
)]
pub(crate) struct Arguments {
    /// Write one JSON document to standard output.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Model(command::model::Arguments),
    Check(command::check::Arguments),
    Build(command::build::Arguments),
    Up(command::up::Arguments),
    Exec(command::exec::Arguments),
    Ps(command::ps::Arguments),
    Down(command::down::Arguments),
    Reset(command::reset::Arguments),
    Namespace(command::namespace::Arguments),
    Db(command::db::Arguments),
    Topic(command::topic::Arguments),
    Postgres(command::postgres::Arguments),
    Doctor(command::doctor::Arguments),
}

impl Command {
    pub(crate) fn run(self, output: &Output) -> Result<ExitCode, Failure> {
        match self {
            Self::Model(arguments) => command::model::run(arguments, output),
            Self::Check(arguments) => command::check::run(arguments, output),
            Self::Build(arguments) => command::build::run(arguments, output),
            Self::Up(arguments) => command::up::run(arguments, output),
            Self::Exec(arguments) => command::exec::run(arguments, output),
            Self::Ps(arguments) => command::ps::run(arguments, output),
            Self::Down(arguments) => command::down::run(arguments, output),
            Self::Reset(arguments) => command::reset::run(arguments, output),
            Self::Db(arguments) => command::db::run(arguments, output),
            Self::Topic(arguments) => command::topic::run(arguments, output),
            Self::Postgres(arguments) => command::postgres::run(arguments, output),
            Self::Doctor(arguments) => command::doctor::run(arguments, output),
            Self::Namespace(arguments) => command::namespace::run(arguments, output),
        }
    }
}

/// Which binary of which workspace is meant.
#[derive(Args, Clone, Default)]
pub(crate) struct Selection {
    /// The package whose binary is meant.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) package: Option<String>,
    /// The binary's name.
    #[arg(long, value_name = "NAME")]
    pub(crate) bin: Option<String>,
    /// The workspace's Cargo.toml.
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest_path: Option<PathBuf>,
}

/// Arguments that are handed to `cargo build`.
#[derive(Args, Default)]
pub(crate) struct CargoArguments {
    /// What cargo is told besides, such as `--features x` or `--locked`.
    #[arg(last = true, value_name = "CARGO ARGUMENTS")]
    pub(crate) cargo: Vec<OsString>,
}

/// Which checkout's state is meant.
#[derive(Args)]
pub(crate) struct CheckoutArguments {
    /// The workspace's Cargo.toml, or any file or folder in the checkout; absent: the current folder.
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest_path: Option<PathBuf>,
}

impl CheckoutArguments {
    /// The checkout that is meant.
    ///
    /// # Errors
    ///
    /// When the folder does not exist.
    pub(crate) fn find(&self) -> Result<Checkout, Failure> {
        let folder = match &self.manifest_path {
            Some(path) if path.is_dir() => path.clone(),
            Some(path) => path
                .parent()
                .filter(|it| !it.as_os_str().is_empty())
                .unwrap_or(Path::new("."))
                .to_owned(),
            None => PathBuf::from("."),
        };
        Ok(Checkout::find(&folder)?)
    }
}
