//! `cargo underlay db baseline`: records migrations as applied, for a database that has what they make.

use std::process::ExitCode;

use underlay_backends::postgres::migrations;

use crate::{
    command::db::{
        confirm_elsewhere,
        migrate::{Changed, Target, deadline, tell},
        source,
    },
    environment::{Environment, Place},
    failure::Failure,
    output::Output,
    session::block_on,
};

/// Record migrations as applied without running them, for a database that has what they make.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The database; may be left away where one is declared.
    name: Option<String>,
    /// The number of the last migration to record; absent: all.
    #[arg(long, value_name = "NUMBER")]
    at: Option<i64>,
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
        let what = format!(
            "Migrations of the database `{name}` will be recorded as applied without being run"
        );
        confirm_elsewhere(&environment, &what, arguments.yes)?;
        let mut target = Target::connect(&environment, declared).await?;
        let numbers = target.migrations.iter().map(|it| it.number);
        let up_to = match arguments.at {
            None => i64::MAX,
            Some(at) if numbers.clone().any(|it| it == at) => at,
            Some(at) => {
                let numbers: Vec<_> = numbers.map(|it| it.to_string()).collect();
                return Err(Failure::usage(format!(
                    "the database `{name}` has no migration {at}; it has {}",
                    numbers.join(", ")
                )));
            }
        };
        let recorded = migrations::baseline(
            &mut target.connection,
            &target.migrations,
            up_to,
            deadline(),
        )
        .await;
        let changed = Changed {
            database: name.clone(),
            files: target.end(recorded).await?,
        };
        tell("recorded", "nothing to record", &[changed], output);
        Ok(ExitCode::SUCCESS)
    })
}
