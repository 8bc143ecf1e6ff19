//! Debian packages: installed when we are root and there is `apt-get`, otherwise named.

use std::path::Path;

use crate::process::{command, in_path, output, run};

/// Installs packages, after `before`; the package lists are only fetched when what is there does not do.
pub(super) fn install(
    root: &Path,
    packages: &[&str],
    before: impl Fn() -> Result<(), String>,
) -> Result<(), String> {
    let names = packages.join(" ");
    if !in_path("apt-get") {
        return Err(format!(
            "{names} is missing; install it with the package manager of this machine"
        ));
    }
    if output(&mut command(root, "id -u"))?.trim() != "0" {
        return Err(format!(
            "{names} is missing; install it: sudo apt-get install {names}"
        ));
    }
    before()?;
    let install = format!(
        "apt-get -qq -y -o Dpkg::Options::=--force-confold --no-install-recommends install {names}"
    );
    let install = || run(command(root, &install).env("DEBIAN_FRONTEND", "noninteractive"));
    if install().is_ok() {
        return Ok(());
    }
    run(&mut command(root, "apt-get -qq update"))?;
    install()
}

/// Writes a file unless there is one.
pub(super) fn write_new(path: &Path, text: &str) -> Result<(), String> {
    let cannot = |error: std::io::Error| format!("{} cannot be written: {error}", path.display());
    if path.exists() {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(cannot)?;
    }
    std::fs::write(path, text).map_err(cannot)
}
