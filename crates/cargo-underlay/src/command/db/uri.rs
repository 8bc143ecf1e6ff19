//! `cargo underlay db uri`: where a database is, as programs want to hear it.

use std::process::ExitCode;

use serde_json::json;

use crate::{
    command::db::source,
    environment::{Environment, Place, Role},
    failure::Failure,
    output::Output,
    session::block_on,
};

/// Print the connection URI of a database, with its password.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The database; may be left away where one is declared.
    name: Option<String>,
    /// Of the superuser; with --env, of the role that applies migrations.
    #[arg(long, conflicts_with = "migrator")]
    admin: bool,
    /// Of the role that applies migrations.
    #[arg(long)]
    migrator: bool,
    #[command(flatten)]
    place: Place,
}

pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<ExitCode, Failure> {
    let (workspace, databases) = source(&arguments.place, output)?;
    let declared = databases.one(arguments.name.as_deref())?;
    let role = match (arguments.admin, arguments.migrator) {
        (true, _) => Role::Admin,
        (_, true) => Role::Migrator,
        _ => Role::Service,
    };
    block_on(async {
        let environment = Environment::open(&arguments.place, &workspace, &databases).await?;
        let access = environment.access(declared, role)?;
        if access.tls.ca.is_some() {
            output.note(
                "the certificate of the server's authority is in the infra config and not in the URI: write it to a file, \
                 and add `&sslrootcert=FILE`",
            );
        }
        if environment.holds_a_server() {
            output.note(
                "the server stops with this process, unless another one uses it; `cargo underlay up` keeps it, or the \
                 application does",
            );
        }
        if output.is_json() {
            output.document(&json!({ "database": declared.name, "uri": access.uri() }));
        }
        output.line(access.uri());
        Ok(ExitCode::SUCCESS)
    })
}
