//! Commands that run to their end, and what they cost.

use std::{
    collections::BTreeSet,
    env,
    path::Path,
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// What a command cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// User and system time of the command and of everything that it started and awaited.
    pub cpu: Duration,
    /// From start to end.
    pub wall: Duration,
}

/// The cargo that runs this bench, so that its toolchain is the same.
pub fn cargo(folder: &Path, target: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(folder)
        .arg("--quiet")
        .args(arguments)
        .env("CARGO_TARGET_DIR", target);
    command
}

/// Runs a command; what it printed is shown only if it fails.
///
/// # Errors
///
/// What was run, how it ended, and what it said.
pub fn run(command: &mut Command) -> Result<(), String> {
    output(command).map(|_| ())
}

/// Runs a command and returns what it printed.
///
/// # Errors
///
/// What was run, how it ended, and what it said.
pub fn output(command: &mut Command) -> Result<String, String> {
    let shown = || {
        let program = Path::new(command.get_program());
        let name = program.file_name().unwrap_or(program.as_os_str());
        command
            .get_args()
            .fold(name.to_string_lossy().into_owned(), |line, argument| {
                format!("{line} {}", argument.to_string_lossy())
            })
    };
    let shown = shown();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("`{shown}` could not be started: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "`{shown}` failed ({}): {}",
        output.status,
        said.trim()
    ))
}

/// Runs a command and says what it cost. Only one command may run at a time.
///
/// # Errors
///
/// As [`run`]; and that this system does not tell the CPU time of processes.
pub fn measure(command: &mut Command) -> Result<Cost, String> {
    let before = children()?;
    let begin = Instant::now();
    run(command)?;
    let wall = begin.elapsed();
    Ok(Cost {
        cpu: children()?.saturating_sub(before),
        wall,
    })
}

/// Runs a command with our own input and output, and says how it ended and what CPU time it took.
///
/// # Errors
///
/// As [`measure`], except for what the command itself says.
pub fn pass_through(command: &mut Command) -> Result<(ExitStatus, Duration), String> {
    let before = children()?;
    let status = command.status().map_err(|error| {
        let program = command.get_program().to_string_lossy();
        format!("`{program}` could not be started: {error}")
    })?;
    Ok((status, children()?.saturating_sub(before)))
}

/// The CPU time of all processes that this one started and awaited, and of those that they did.
#[cfg(unix)]
fn children() -> Result<Duration, String> {
    use nix::sys::{
        resource::{UsageWho, getrusage},
        time::TimeValLike,
    };

    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)
        .map_err(|error| format!("the CPU time of child processes is not known: {error}"))?;
    let microseconds =
        usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(
        microseconds.try_into().unwrap_or_default(),
    ))
}

#[cfg(not(unix))]
fn children() -> Result<Duration, String> {
    Err("CPU time is measured by getrusage, which this system does not have".to_owned())
}

/// The crates that a package is built from on this machine, build scripts and procedural macros included.
///
/// # Errors
///
/// Why cargo cannot tell.
pub fn crates(folder: &Path, target: &Path, package: &str) -> Result<BTreeSet<String>, String> {
    let arguments = [
        "tree",
        "-p",
        package,
        "-e",
        "normal,build",
        "--prefix",
        "none",
    ];
    let tree = output(&mut cargo(folder, target, &arguments))?;
    let name = |line: &str| {
        let mut words = line.split_whitespace();
        Some(format!("{} {}", words.next()?, words.next()?))
    };
    Ok(tree.lines().filter_map(name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_was_run_and_what_it_said() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let error = output(&mut cargo(folder, folder, &["no-such-command"])).unwrap_err();
        assert!(error.contains("--quiet no-such-command` failed"), "{error}");
        assert!(error.contains("no such command"), "{error}");
    }
}
