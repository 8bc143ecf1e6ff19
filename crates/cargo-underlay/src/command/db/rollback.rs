//! `cargo underlay db rollback`: takes the last migrations back.

use std::process::ExitCode;

use underlay_backends::postgres::migrations;

use crate::{
    command::db::{
        confirm_elsewhere,
        migrate::{Changed, Target, deadline, files, tell},
        source,
    },
    environment::{Environment, Place},
    failure::Failure,
    output::Output,
    session::block_on,
};

/// Take the last applied migrations back, with their `.down.sql` files.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The database; may be left away where one is declared.
    name: Option<String>,
    /// How many.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    steps: usize,
    /// Do not ask; only with --env somebody is asked.
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    place: Place,
}

pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<ExitCode, Failure> {
    let (workspace, databases) = source(&arguments.place, output)?;
    let declared = databases.one(arguments.name.as_deref())?;
    block_on(async {
        let environment = Environment::open(&arguments.place, &workspace, &databases).await?;
        let name = &declared.name;
        let what = format!("The last migrations of the database `{name}` will be taken back");
        confirm_elsewhere(&environment, &what, arguments.yes)?;
        let mut target = Target::connect(&environment, declared).await?;
        let steps = arguments.steps;
        let done = migrations::rollback(
            &mut target.connection,
            &target.migrations,
            steps,
            deadline(),
        )
        .await;
        let changed = Changed {
            database: name.clone(),
            files: files(target.end(done).await?),
        };
        tell("ran", "nothing to take back", &[changed], output);
        Ok(ExitCode::SUCCESS)
    })
}
