//! `cargo underlay db status`: which migrations are applied, and what stands against applying the rest.

use std::process::ExitCode;

use serde_json::json;
use sqlx::Connection as _;
use underlay_backends::postgres::{
    explain,
    migrations::{self, Entry, State},
};
use underlay_model::Problem;

use crate::{
    command::db::{folder, migrate::read, source},
    environment::{Environment, Place, Role},
    failure::Failure,
    output::{Output, entries},
    session::block_on,
    table::table,
};

/// List the migrations of one database, or of all, and how they stand.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The database; absent: all that have migrations.
    name: Option<String>,
    /// Fail if something is to be applied, or stands against that.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    place: Place,
}

pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<ExitCode, Failure> {
    let (workspace, databases) = source(&arguments.place, output)?;
    let name = arguments.name.as_deref();
    let mut meant = databases.some(name)?;
    if name.is_some() {
        meant.iter().try_for_each(|it| folder(it).map(drop))?;
    }
    meant.retain(|it| it.migrations.is_some());
    block_on(async {
        let environment = Environment::open(&arguments.place, &workspace, &databases).await?;
        let mut documents = Vec::new();
        let mut rows = Vec::new();
        let mut problems = Vec::new();
        let mut is_current = true;
        for declared in meant {
            let migrations = read(declared)?;
            let access = environment.access(declared, Role::Service)?;
            let mut connection = access.connect().await?;
            let status = migrations::status(&mut connection, &migrations)
                .await
                .map_err(|error| access.failure(&explain(&error, &access.options)))?;
            // The server notices the end of the connection all the same.
            let _ = connection.close().await;
            let found: Vec<_> = status
                .problems()
                .into_iter()
                .map(|it| Problem::error(format!("database `{}`: {it}", declared.name), []))
                .collect();
            is_current &= status.is_current() && found.is_empty();
            rows.extend(status.entries.iter().map(|it| row(&declared.name, it)));
            documents.push(json!({
                "database": declared.name,
                "migrations": status.entries.iter().map(document).collect::<Vec<_>>(),
                "problems": entries(&found),
            }));
            problems.extend(found);
        }
        if output.is_json() {
            output.document(&documents);
        } else if rows.is_empty() {
            output.line("no migrations");
        } else {
            let heading = ["DATABASE", "NUMBER", "DESCRIPTION", "STATE", "AT"];
            output.text(&table(heading, &rows));
            output.problems(&problems, &workspace.root());
        }
        Ok(if arguments.check && !is_current {
            ExitCode::from(Failure::FAILED)
        } else {
            ExitCode::SUCCESS
        })
    })
}

/// The word for a state, and since when.
fn state(entry: &Entry) -> (&'static str, Option<&str>) {
    match &entry.state {
        State::Applied { at } => ("applied", Some(at)),
        State::Pending => ("pending", None),
        State::Edited { at } => ("edited", Some(at)),
        State::Late => ("late", None),
        State::Unknown { at, newer: true } => ("newer", Some(at)),
        State::Unknown { at, newer: false } => ("without a file", Some(at)),
        State::Dirty => ("in part", None),
    }
}

fn row(database: &str, entry: &Entry) -> [String; 5] {
    let (state, at) = state(entry);
    [
        database.to_owned(),
        entry.number.to_string(),
        entry.description.clone(),
        state.to_owned(),
        at.unwrap_or_default().to_owned(),
    ]
}

fn document(entry: &Entry) -> serde_json::Value {
    let (state, at) = state(entry);
    json!({
        "number": entry.number,
        "description": entry.description,
        "file": entry.file,
        "state": state.replace(' ', "_"),
        "at": at,
    })
}
