//! `cargo underlay db`: what people do with a declared database. Nothing here compiles the application, so that it
//! works where the application does not compile yet; only `prepare` and `seed` run cargo.

mod baseline;
mod migrate;
mod new;
mod prepare;
mod proxy;
mod reset;
mod rollback;
mod seed;
mod shell;
mod status;
mod uri;

use std::process::ExitCode;

pub(crate) use self::{migrate::migrate, prepare::wrapper};
use crate::{
    confirm::confirm,
    declared::{Databases, Declared},
    environment::{Environment, Place},
    failure::Failure,
    output::Output,
    workspace::Workspace,
};

/// Databases: a shell, the URI, migrations, seeds, and the data of checked queries. The code need not compile.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    Shell(shell::Arguments),
    Uri(uri::Arguments),
    Proxy(proxy::Arguments),
    Status(status::Arguments),
    Migrate(migrate::Arguments),
    New(new::Arguments),
    Rollback(rollback::Arguments),
    Baseline(baseline::Arguments),
    Seed(seed::Arguments),
    Reset(reset::Arguments),
    Prepare(prepare::Arguments),
}

pub(crate) fn run(arguments: Arguments, output: &Output) -> Result<ExitCode, Failure> {
    match arguments.action {
        Action::Shell(arguments) => shell::run(arguments, output),
        Action::Uri(arguments) => uri::run(&arguments, output),
        Action::Proxy(arguments) => proxy::run(&arguments, output),
        Action::Status(arguments) => status::run(&arguments, output),
        Action::Migrate(arguments) => migrate::run(&arguments, output),
        Action::New(arguments) => new::run(&arguments, output),
        Action::Rollback(arguments) => rollback::run(&arguments, output),
        Action::Baseline(arguments) => baseline::run(&arguments, output),
        Action::Seed(arguments) => seed::run(&arguments, output),
        Action::Reset(arguments) => reset::run(&arguments, output),
        Action::Prepare(arguments) => prepare::run(&arguments, output),
    }
}

/// The workspace that is meant, and what its source declares.
fn source(place: &Place, output: &Output) -> Result<(Workspace, Databases), Failure> {
    let workspace = Workspace::load(&place.selection)?;
    let databases = Databases::find(&workspace, &place.selection, output)?;
    Ok((workspace, databases))
}

/// The migrations' folder of a database.
fn folder(declared: &Declared) -> Result<std::path::PathBuf, Failure> {
    declared.migrations_folder().ok_or_else(|| {
        let mut failure = Failure::error(format!(
            "the database `{0}` has no migrations; write `#[database(\"{0}\", migrations = \"migrations\")]`, which names \
             a folder beside the package's Cargo.toml",
            declared.name
        ));
        failure.problems[0].sources.push(declared.source.clone());
        failure
    })
}

/// Asks before something is done to another environment.
fn confirm_elsewhere(environment: &Environment, what: &str, yes: bool) -> Result<(), Failure> {
    if environment.provisioned.is_some() {
        return Ok(());
    }
    confirm(&format!("{what}: go on?"), yes)
}

/// Commands with an output that is not theirs.
fn no_json(command: &str, output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return Err(Failure::usage(format!(
            "`{command}` has no result of its own to write as JSON; leave `--json` away"
        )));
    }
    Ok(())
}
