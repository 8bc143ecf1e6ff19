//! `cargo underlay db reset`: databases as new, with all migrations.

use std::process::ExitCode;

use crate::{
    command::db::{
        migrate::{migrate, tell},
        source,
    },
    confirm::confirm,
    environment::{Environment, Place},
    failure::Failure,
    output::Output,
    session::block_on,
};

/// Drop databases of this machine, and create and migrate them again.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The databases; may be left away where one is declared.
    names: Vec<String>,
    /// All of them.
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    place: Place,
}

pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<ExitCode, Failure> {
    if arguments.place.env.is_some() {
        return Err(Failure::usage(
            "`db reset` is for the databases of this machine; those of another environment are not dropped from here, so \
             leave `--env` away",
        ));
    }
    let (workspace, databases) = source(&arguments.place, output)?;
    let mut meant = Vec::new();
    match arguments.names.as_slice() {
        _ if arguments.all => meant = databases.some(None)?,
        [] => meant.push(databases.one(None)?),
        names => {
            for name in names {
                meant.push(databases.one(Some(name))?);
            }
        }
    }
    let listed: Vec<_> = meant.iter().map(|it| format!("`{}`", it.name)).collect();
    let noun = if meant.len() == 1 {
        "database"
    } else {
        "databases"
    };
    confirm(
        &format!(
            "All data of the {noun} {} of {} will be lost: go on?",
            listed.join(", "),
            workspace.root().display()
        ),
        arguments.yes,
    )?;
    block_on(async {
        let environment = Environment::open(&arguments.place, &workspace, &databases).await?;
        let names: Vec<_> = meant.iter().map(|it| it.name.clone()).collect();
        environment.recreate(&names).await?;
        let changed = migrate(&environment, meant).await?;
        tell("applied", "created without migrations", &changed, output);
        Ok(ExitCode::SUCCESS)
    })
}
