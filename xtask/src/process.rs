//! Running other programs: one sentence when that fails, and nothing of their output lost.

use std::path::Path;
use std::process::{Command, Stdio};

/// A command that runs at `root`, written as one would type it, without quoting.
pub(crate) fn command(root: &Path, line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().expect("a command has a name"));
    command.args(words).current_dir(root);
    command
}

/// The cargo that runs this task, so that its toolchain is the same.
pub(crate) fn cargo(root: &Path, line: &str) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(line.split_whitespace()).current_dir(root);
    command
}

/// How a command is shown to people.
pub(crate) fn shown(command: &Command) -> String {
    let name = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program())
        .to_string_lossy();
    command
        .get_args()
        .fold(name.into_owned(), |line, argument| {
            format!("{line} {}", argument.to_string_lossy())
        })
}

/// Runs a command with our own output; a failure is one sentence.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{}` failed ({status})", shown(command))),
        Err(error) => Err(format!(
            "`{}` could not be started: {error}",
            shown(command)
        )),
    }
}

/// Runs a command and returns what it printed; a failure is one sentence with what it said.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    match command.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!(
                "`{}` failed ({}): {}",
                shown(command),
                output.status,
                said.trim()
            ))
        }
        Err(error) => Err(format!(
            "`{}` could not be started: {error}",
            shown(command)
        )),
    }
}

/// Whether a program is in the `PATH`.
pub(crate) fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
