//! The application's binary as a job: how it is run, and for which environment. Does not know what the job does.

use std::{fs, path::Path, process::Command};

use crate::{arguments::Selection, failure::Failure, workspace::Workspace};

/// The command that builds the binary and runs it as a job, here or for the environment of an infra config.
///
/// # Errors
///
/// When it is not clear which binary is meant, or the infra config is not there.
pub(crate) fn command(
    workspace: &Workspace,
    selection: &Selection,
    task: &str,
    env: Option<&Path>,
    namespace: Option<&str>,
) -> Result<Command, Failure> {
    let binary = workspace.binary(selection)?;
    let mut command = workspace.cargo("run");
    command.args([
        "--quiet",
        "-p",
        &binary.package.name,
        "--bin",
        &binary.target.name,
    ]);
    command.env("UNDERLAY_TASK", task);
    match env {
        Some(file) => {
            let file = fs::canonicalize(file).map_err(|error| Failure::io("find", file, &error))?;
            command.env("UNDERLAY_INFRA", file)
        }
        // What stands there in the environment is of another one.
        None => command.env_remove("UNDERLAY_INFRA"),
    };
    if let Some(namespace) = namespace {
        command.env("UNDERLAY_NAMESPACE", namespace);
    }
    Ok(command)
}
