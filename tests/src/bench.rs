//! What the benches share: running and measuring other programs, the bare baselines, and how figures are printed.
//!
//! A bench prints each figure beside its bare baseline, both taken in the same run. This part knows no figure, no
//! budget and no single bench.

mod application;
mod baseline;
mod command;
mod figures;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

pub use self::{
    application::{Application, answered, free_port, terminate},
    baseline::Package,
    command::{Cost, cargo, crates, measure, output, pass_through, run},
    figures::{Spread, Table, bytes, count, milliseconds, ratio, seconds},
};

/// The root of this repository.
///
/// # Panics
///
/// Never: this package lies in it.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the root of the repository")
}

/// The target folder that the bench itself was built in. What it needs in release is built there too, so that cargo
/// reuses what it has.
///
/// # Errors
///
/// When the bench does not lie in one.
pub fn target() -> Result<PathBuf, String> {
    let binary = env::current_exe().map_err(|error| format!("where is this program? {error}"))?;
    let target = binary
        .ancestors()
        .nth(2)
        .ok_or("this bench does not lie in a target folder; run `cargo xtask bench`")?;
    fs::canonicalize(target).map_err(|error| file_error("find", target, &error))
}

/// The folder of one bench, under [`target`], so that it is private to this checkout and `cargo clean` removes it.
///
/// # Errors
///
/// When it cannot be made.
pub fn folder(bench: &str) -> Result<PathBuf, String> {
    let folder = target()?.join("bench").join(bench);
    fs::create_dir_all(&folder).map_err(|error| file_error("create", &folder, &error))?;
    Ok(folder)
}

/// Removes a folder with all that is in it, if it exists.
///
/// # Errors
///
/// When it is still there afterwards.
pub fn remove(folder: &Path) -> Result<(), String> {
    match fs::remove_dir_all(folder) {
        Err(error) if folder.exists() => Err(file_error("remove", folder, &error)),
        _ => Ok(()),
    }
}

/// Writes a file, and the folders above it.
///
/// # Errors
///
/// When that fails, with the path.
pub fn write(path: &Path, text: &str) -> Result<(), String> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(|error| file_error("create", folder, &error))?;
    fs::write(path, text).map_err(|error| file_error("write", path, &error))
}

/// One sentence about a file.
pub fn file_error(action: &str, path: &Path, error: &std::io::Error) -> String {
    format!("cannot {action} {}: {error}", path.display())
}

/// Ends a bench: what it could not do, or which budgets it found exceeded, is said and is exit code 1.
#[allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench is a command; printing is its output"
)]
pub fn finish(result: Result<Vec<String>, String>) -> ExitCode {
    match result {
        Ok(exceeded) if exceeded.is_empty() => {
            println!("\nwithin budget");
            ExitCode::SUCCESS
        }
        Ok(exceeded) => {
            for line in exceeded {
                eprintln!("\nover budget: {line}");
            }
            ExitCode::FAILURE
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
