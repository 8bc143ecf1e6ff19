//! Runs the application's binary as a job, whose standard output is the answer.

use serde_json::Value;

use super::{Place, request::Request};
use crate::{child, failure::Failure, job, output::Output, workspace::Workspace};

/// What the job answers.
///
/// # Errors
///
/// When it cannot be built or fails; it has then said why.
pub(super) async fn run(
    workspace: &Workspace,
    place: &Place,
    request: &Request,
    output: &Output,
) -> Result<Value, Failure> {
    let mut command = job::command(
        workspace,
        &place.selection,
        &request.task(),
        place.env.as_deref(),
        place.namespace.as_deref(),
    )?;
    if std::env::var_os("RUST_LOG").is_none() {
        // How it gets ready is of no interest here.
        command.env("RUST_LOG", "warn");
    }
    let (status, stdout) = child::output(command.into()).await?;
    if !status.success() {
        let message = "the application did not do it; its messages stand above";
        // People have read them.
        let problems = match output.is_json() {
            true => Failure::error(message).problems,
            false => Vec::new(),
        };
        return Err(Failure {
            code: Failure::FAILED,
            problems,
            root: None,
        });
    }
    serde_json::from_slice(&stdout).map_err(|error| {
        Failure::error(format!(
            "what the application wrote to standard output as the job is not one JSON document: {error}; does its `main` \
             print something before `#[underlay::main]`, or was it built with another version of underlay?"
        ))
    })
}
