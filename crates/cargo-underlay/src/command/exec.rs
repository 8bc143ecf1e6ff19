//! `cargo underlay exec`: runs a command beside what a binary declares.

use std::{ffi::OsString, process::ExitCode};

use tokio::process::Command;

use crate::{
    arguments::Selection,
    child,
    declared::url_variable,
    failure::Failure,
    output::Output,
    session::{Session, Uncompiled, block_on},
};

/// Run a command with what a binary declares running, and with the variables that say where it is.
///
/// UNDERLAY_INFRA names the infra config, and ORDERS_DATABASE_URL the database `orders`. If one database is declared,
/// DATABASE_URL, PGHOST, PGPORT, PGDATABASE, PGUSER and PGPASSWORD say where that is, so that `cargo underlay exec psql`
/// works. Migrations are applied before. If the binary does not compile, the databases run all the same, so that
/// `cargo underlay exec -- cargo build` works with queries that are checked while compiling. The exit code is the
/// command's.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The infrastructure namespace, instead of the active one.
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    #[command(flatten)]
    selection: Selection,
    /// The command and its arguments.
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    command: Vec<OsString>,
}

pub(crate) fn run(arguments: Arguments, output: &Output) -> Result<ExitCode, Failure> {
    let Some((program, rest)) = arguments.command.split_first() else {
        return Err(Failure::usage(
            "there is no command to run; write it after `exec`",
        ));
    };
    if output.is_json() {
        return Err(Failure::usage(
            "`exec` has no result of its own to write as JSON; leave `--json` away",
        ));
    }
    block_on(async {
        let session = Session::start(
            &arguments.selection,
            arguments.namespace,
            Uncompiled::DatabasesOnly,
            output,
        )
        .await?;
        let mut command = Command::new(program);
        command
            .args(rest)
            .env("UNDERLAY_INFRA", &session.infra)
            .envs(postgres_variables(&session));
        for database in &session.databases {
            command.env(url_variable(&database.name), &database.uri);
        }
        child::run(command).await
    })
}

/// The variables that libpq and its programs read, if there is one database that they can mean.
fn postgres_variables(session: &Session) -> Vec<(&'static str, String)> {
    let ([database], [server]) = (
        session.databases.as_slice(),
        session.provisioned.config.sql_servers.as_slice(),
    ) else {
        return Vec::new();
    };
    let port = database
        .host
        .rsplit_once(':')
        .filter(|(_, port)| port.parse::<u16>().is_ok());
    let (host, port) = port.unwrap_or((&database.host, "5432"));
    let password = server
        .databases
        .get(&database.name)
        .map(|it| it.password.0.clone())
        .unwrap_or_default();
    vec![
        ("PGHOST", host.to_owned()),
        ("PGPORT", port.to_owned()),
        ("PGDATABASE", database.database.clone()),
        ("PGUSER", database.user.clone()),
        ("PGPASSWORD", password),
        ("DATABASE_URL", database.uri.clone()),
    ]
}
