//! Debian packages: installed when we are root and there is `apt-get`, otherwise named.

use std::path::{Path, PathBuf};

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

/// Fetches the source of a package of another release, from where this machine has its packages, into a folder; returns
/// the upstream archive. The machine's own lists are not touched.
pub(super) fn source(folder: &Path, package: &str, release: &str) -> Result<PathBuf, String> {
    let cannot = |error: std::io::Error| format!("{} cannot be written: {error}", folder.display());
    let lists = folder.join("lists");
    std::fs::create_dir_all(lists.join("partial")).map_err(cannot)?;
    let mut asked = command(folder, "apt-get indextargets");
    asked.args([
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
        "Component: main",
        "Origin: Debian",
    ]);
    let places = output(&mut asked)?;
    let place = places
        .lines()
        .next()
        .ok_or("apt knows no place of Debian's packages; run `apt-get update`")?;
    let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let list = folder.join("sources.list");
    std::fs::write(
        &list,
        format!("deb-src [signed-by={keyring}] {place} {release} main\n"),
    )
    .map_err(cannot)?;
    let apt = |rest: &str| {
        let mut command = command(folder, "apt-get -qq");
        command
            .args(["-o", &format!("Dir::Etc::SourceList={}", list.display())])
            .args(["-o", "Dir::Etc::SourceParts=/dev/null"])
            .args(["-o", &format!("Dir::State::Lists={}", lists.display())])
            .args(["-o", "APT::Sandbox::User=root"])
            .args(rest.split(' '));
        output(&mut command)
    };
    apt("update")?;
    apt(&format!("source --download-only {package}"))?;
    let entries = std::fs::read_dir(folder)
        .map_err(|error| format!("{} cannot be read: {error}", folder.display()))?;
    let names = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_archive = |path: &PathBuf| path.to_string_lossy().ends_with(".orig.tar.gz");
    names
        .filter(|path| path.is_file())
        .find(is_archive)
        .ok_or_else(|| format!("the source of {package} holds no archive of upstream's"))
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
