//! `cargo underlay db migrate`: applies the migrations that are not applied yet.

use std::{process::ExitCode, time::Duration};

use serde::Serialize;
use sqlx::{Connection as _, PgConnection};
use tokio::time::Instant;
use underlay_backends::postgres::migrations::{self, Done, Migration};

use crate::{
    access::Access,
    command::db::{folder, source},
    declared::Declared,
    environment::{Environment, Place, Role},
    failure::Failure,
    output::Output,
    session::block_on,
};

/// How long another process that applies migrations is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Apply the migrations that are not applied yet: of one database, or of all.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The database; absent: all that have migrations.
    name: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// What was done to one database.
#[derive(Serialize)]
pub(crate) struct Changed {
    pub(crate) database: String,
    pub(crate) files: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<ExitCode, Failure> {
    let (workspace, databases) = source(&arguments.place, output)?;
    let name = arguments.name.as_deref();
    let meant = databases.some(name)?;
    if name.is_some() {
        meant.iter().try_for_each(|it| folder(it).map(drop))?;
    }
    block_on(async {
        let environment = Environment::open(&arguments.place, &workspace, &databases).await?;
        let changed = migrate(&environment, meant).await?;
        tell("applied", "nothing to apply", &changed, output);
        Ok(ExitCode::SUCCESS)
    })
}

/// Says what was done, with a database's name where there are several.
pub(super) fn tell(what: &str, nothing: &str, changed: &[Changed], output: &Output) {
    if output.is_json() {
        output.document(&changed);
    }
    for Changed { database, files } in changed {
        for file in files {
            output.line(format_args!("{database}: {what} {file}"));
        }
        if files.is_empty() {
            output.line(format_args!("{database}: {nothing}"));
        }
    }
}

/// Applies what is not applied, in each database that has migrations.
///
/// # Errors
///
/// Everything that stands against it, in all of them.
pub(crate) async fn migrate<'a>(
    environment: &Environment,
    databases: impl IntoIterator<Item = &'a Declared>,
) -> Result<Vec<Changed>, Failure> {
    let mut changed = Vec::new();
    let mut problems = Vec::new();
    for declared in databases {
        if declared.migrations.is_none() {
            continue;
        }
        match migrate_one(environment, declared).await {
            Ok(done) => changed.push(Changed {
                database: declared.name.clone(),
                files: files(done),
            }),
            Err(failure) => problems.extend(failure.problems),
        }
    }
    if problems.is_empty() {
        Ok(changed)
    } else {
        Err(Failure::problems(problems))
    }
}

async fn migrate_one(environment: &Environment, declared: &Declared) -> Result<Vec<Done>, Failure> {
    let mut target = Target::connect(environment, declared).await?;
    let service = environment.service_beside_migrator(declared);
    let applied = migrations::apply(
        &mut target.connection,
        &target.migrations,
        service.as_deref(),
        deadline(),
    )
    .await;
    target.end(applied).await
}

pub(super) fn files(done: Vec<Done>) -> Vec<String> {
    done.into_iter().map(|it| it.file).collect()
}

pub(super) fn deadline() -> Instant {
    Instant::now() + PATIENCE
}

/// A database and its migrations, with a connection of who applies them.
pub(super) struct Target {
    pub(super) migrations: Vec<Migration>,
    pub(super) connection: PgConnection,
    access: Access,
}

impl Target {
    pub(super) async fn connect(
        environment: &Environment,
        declared: &Declared,
    ) -> Result<Self, Failure> {
        let migrations = read(declared)?;
        let access = environment.access(declared, Role::Migrator)?;
        let connection = access.connect().await?;
        Ok(Self {
            migrations,
            connection,
            access,
        })
    }

    /// Says goodbye, and what stood against what was done.
    pub(super) async fn end<T>(self, result: Result<T, Vec<String>>) -> Result<T, Failure> {
        // The server notices the end of the connection all the same.
        let _ = self.connection.close().await;
        result.map_err(|problems| {
            let problems = problems.iter().map(|it| self.access.failure(it));
            Failure::problems(problems.flat_map(|it| it.problems).collect())
        })
    }
}

/// The migrations in a database's folder.
pub(super) fn read(declared: &Declared) -> Result<Vec<Migration>, Failure> {
    let folder = folder(declared)?;
    migrations::read_dir(&folder).map_err(|problems| {
        let problem = |it| underlay_model::Problem::error(it, [declared.source.clone()]);
        Failure::problems(problems.into_iter().map(problem).collect())
    })
}
