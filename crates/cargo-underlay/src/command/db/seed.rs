//! `cargo underlay db seed`: data to begin with, from SQL or from the application's own seed functions.

use std::{
    fs, io,
    path::PathBuf,
    process::{ExitCode, Stdio},
};

use sqlx::{AssertSqlSafe, Connection as _};
use tokio::process::Command;
use underlay_backends::postgres::explain;
use underlay_model::migration::SEED_FILE;

use crate::{
    child,
    command::db::{
        confirm_elsewhere,
        migrate::{Changed, migrate, tell},
        source,
    },
    declared::{Databases, Declared},
    environment::{Environment, Place, Role},
    failure::Failure,
    job,
    output::Output,
    session::block_on,
    workspace::Workspace,
};

/// Run the `seed.sql` beside a database's migrations in one transaction; where no database has one, run the
/// application's `#[underlay::seed]` functions.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The database; absent: all.
    name: Option<String>,
    /// Do not ask; only with --env somebody is asked.
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    place: Place,
}

pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<ExitCode, Failure> {
    let (workspace, databases) = source(&arguments.place, output)?;
    let meant = databases.some(arguments.name.as_deref())?;
    let mut files = Vec::new();
    for declared in &meant {
        if let Some((path, text)) = file(declared)? {
            files.push((*declared, path, text));
        }
    }
    block_on(async {
        let environment = Environment::open(&arguments.place, &workspace, &databases).await?;
        let what = "The databases of another environment will be seeded";
        confirm_elsewhere(&environment, what, arguments.yes)?;
        if environment.provisioned.is_some() {
            migrate(&environment, meant).await?;
        }
        if files.is_empty() {
            return by_the_application(arguments, &environment, workspace, &databases, output)
                .await;
        }
        let mut seeded = Vec::new();
        for (declared, path, text) in files {
            let access = environment.access(declared, Role::Service)?;
            let mut connection = access.connect().await?;
            let run = async {
                let mut transaction = connection.begin().await?;
                sqlx::raw_sql(AssertSqlSafe(text))
                    .execute(&mut *transaction)
                    .await?;
                transaction.commit().await
            };
            run.await.map_err(|error| {
                let why = explain(&error, &access.options);
                access.failure(&format!(
                    "{} failed, and nothing of it was kept: {why}",
                    workspace.relative(&path)
                ))
            })?;
            // The server notices the end of the connection all the same.
            let _ = connection.close().await;
            seeded.push(Changed {
                database: declared.name.clone(),
                files: vec![SEED_FILE.to_owned()],
            });
        }
        tell("ran", "", &seeded, output);
        Ok(ExitCode::SUCCESS)
    })
}

/// The seed of a database, if it has one.
fn file(declared: &Declared) -> Result<Option<(PathBuf, String)>, Failure> {
    let Some(folder) = declared.migrations_folder() else {
        return Ok(None);
    };
    let path = folder.join(SEED_FILE);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::io("read", &path, &error)),
    }
}

/// Runs the binary as a job that seeds.
async fn by_the_application(
    arguments: &Arguments,
    environment: &Environment,
    workspace: Workspace,
    databases: &Databases,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let place = &arguments.place;
    if place.test || arguments.name.is_some() {
        return Err(Failure::usage(format!(
            "there is no {SEED_FILE} in the migrations' folder; the application's `#[underlay::seed]` functions seed all \
             databases at once, so leave the name and `--test` away to run them"
        )));
    }
    // Queries are checked against the databases of this machine, or by their files.
    let workspace = match &environment.provisioned {
        Some(_) => workspace.with_variables(environment.variables(&databases.all)?),
        None => workspace,
    };
    let mut command = job::command(
        &workspace,
        &place.selection,
        "seed",
        place.env.as_deref(),
        place.namespace.as_deref(),
    )?;
    if output.is_json() {
        // It has no document of its own to add to.
        command.stdout(Stdio::null());
    }
    child::run(Command::from(command)).await
}
