//! `cargo underlay exec`: runs a command beside what a binary declares.

use std::{ffi::OsString, process::ExitCode};

use tokio::process::Command;

use crate::{
    arguments::Selection,
    failure::{Failure, os_text},
    output::Output,
    session::{Session, block_on},
    signal::{Signal, Signals},
};

/// Run a command with what a binary declares running, and with the variables that say where it is.
///
/// UNDERLAY_INFRA names the infra config. If one database is declared, PGHOST, PGPORT, PGDATABASE, PGUSER and PGPASSWORD
/// say where that is, so that `cargo underlay exec psql` works. The exit code is the command's.
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
        let session = Session::start(&arguments.selection, arguments.namespace, output).await?;
        let mut command = Command::new(program);
        command
            .args(rest)
            .env("UNDERLAY_INFRA", &session.infra)
            .envs(postgres_variables(&session))
            .kill_on_drop(true);
        let cannot = |error: &std::io::Error| {
            Failure::error(format!(
                "cannot run {}: {}",
                program.to_string_lossy(),
                os_text(error)
            ))
        };
        let mut signals = Signals::receive().map_err(|error| cannot(&error))?;
        let mut child = command.spawn().map_err(|error| cannot(&error))?;
        let status = loop {
            tokio::select! {
                status = child.wait() => break status,
                signal = signals.next() => match signal {
                    // On a terminal it reaches the child, too, and it is the child's business when to end.
                    Signal::Interrupt => {}
                    Signal::Terminate => child.start_kill().map_err(|error| cannot(&error))?,
                },
            }
        };
        let status = status.map_err(|error| cannot(&error))?;
        Ok(exit_code(status))
    })
}

/// The command's exit code; 128 and the signal's number if one ended it, as shells say it.
fn exit_code(status: std::process::ExitStatus) -> ExitCode {
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status).map(|it| 128 + it);
    #[cfg(not(unix))]
    let signal = None;
    let code = status
        .code()
        .or(signal)
        .and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(Failure::FAILED))
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
    ]
}
