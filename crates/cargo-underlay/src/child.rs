//! A program that is run in this one's place, on its terminal. Does not know what it is for.

use std::process::{ExitCode, ExitStatus, Stdio};

use tokio::{io::AsyncReadExt as _, process::Command};

use crate::{
    failure::{Failure, os_text},
    signal::{Signal, Signals},
};

/// Runs a program to its end, and gives its exit code.
///
/// # Errors
///
/// When it cannot be run.
pub(crate) async fn run(command: Command) -> Result<ExitCode, Failure> {
    Ok(exit_code(wait(command).await?.0))
}

/// Runs a program to its end, and gives what it wrote to standard output.
///
/// # Errors
///
/// When it cannot be run.
pub(crate) async fn output(mut command: Command) -> Result<(ExitStatus, Vec<u8>), Failure> {
    command.stdout(Stdio::piped());
    wait(command).await
}

async fn wait(mut command: Command) -> Result<(ExitStatus, Vec<u8>), Failure> {
    let program = command
        .as_std()
        .get_program()
        .to_string_lossy()
        .into_owned();
    let cannot = |error: &std::io::Error| {
        Failure::error(format!("cannot run {program}: {}", os_text(error)))
    };
    let mut signals = Signals::receive().map_err(|error| cannot(&error))?;
    let mut child = command
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| cannot(&error))?;
    let stdout = child.stdout.take();
    let reading = tokio::spawn(async {
        let mut written = Vec::new();
        if let Some(mut stdout) = stdout {
            stdout.read_to_end(&mut written).await?;
        }
        Ok(written)
    });
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
    let written = reading.await.map_err(std::io::Error::other);
    let written = written.flatten().map_err(|error| cannot(&error))?;
    Ok((status, written))
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
