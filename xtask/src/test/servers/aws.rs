//! Emulators of AWS: programs of Python, each with its dependencies in a folder of our cache. The tests start them.

use std::path::{Path, PathBuf};

use crate::process::{command, output, run};

/// An emulator as it is installed.
pub(super) struct Emulator {
    /// What it is called.
    name: &'static str,
    /// Where it lies in the cache; a new version is a new folder.
    folder: &'static str,
    /// Names a Python that has it, in place of ours.
    variable: &'static str,
    /// The module that the tests run.
    module: &'static str,
    /// What pip is to install.
    packages: &'static [&'static str],
    /// The only Python that it runs on, if so.
    python: Option<&'static str>,
}

/// SNS and SQS, closest to Amazon's. On another Python, or with later versions of the last two, it does not start.
pub(super) const LOCALSTACK: Emulator = Emulator {
    name: "LocalStack",
    folder: "localstack-4.14.0",
    variable: "UNDERLAY_LOCALSTACK_PYTHON",
    module: "localstack.runtime.main",
    packages: &[
        "localstack-core[runtime]==4.14.0",
        "cbor2<6",
        "pyopenssl<26",
    ],
    python: Some("3.13"),
};

/// A second one, by other people.
pub(super) const MOTO: Emulator = Emulator {
    name: "moto",
    folder: "moto-5.2.5",
    variable: "UNDERLAY_MOTO_PYTHON",
    module: "moto.server",
    packages: &["moto[server]==5.2.5"],
    python: None,
};

/// Finds an emulator, or installs it into the cache.
pub(super) fn set_up(root: &Path, emulator: &Emulator) -> Result<String, String> {
    let Emulator {
        name,
        variable,
        module,
        ..
    } = emulator;
    if let Some(python) = set(variable) {
        has(root, &python, module)
            .map_err(|why| format!("{variable} names a Python without {name}: {why}"))?;
        return Ok(python.display().to_string());
    }
    let folder = cache()?.join(emulator.folder);
    let python = folder.join("bin/python");
    if has(root, &python, module).is_ok() {
        return Ok(folder.display().to_string());
    }
    let base = base(root, emulator)?;
    run(command(root, "env")
        .arg(base)
        .args(["-m", "venv", "--clear"])
        .arg(&folder))?;
    run(command(root, "env")
        .arg(&python)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .args(emulator.packages))?;
    has(root, &python, module)?;
    Ok(format!("{} (installed now)", folder.display()))
}

/// Whether a Python has a module, and why not.
fn has(root: &Path, python: &Path, module: &str) -> Result<(), String> {
    let mut command = command(root, "env");
    command
        .arg(python)
        .args(["-c", &format!("import {module}")]);
    output(&mut command).map(drop)
}

/// A Python that an emulator can be installed for.
fn base(root: &Path, emulator: &Emulator) -> Result<PathBuf, String> {
    let Some(version) = emulator.python else {
        return Ok("python3".into());
    };
    let name = format!("python{version}");
    // A shim of pyenv's is in the path also where it has nothing to start.
    let of_pyenv = set("PYENV_ROOT").or_else(|| Some(std::env::home_dir()?.join(".pyenv")));
    let versions = of_pyenv.and_then(|it| std::fs::read_dir(it.join("versions")).ok());
    let versions = versions.into_iter().flatten().flatten();
    [PathBuf::from(&name)]
        .into_iter()
        .chain(versions.map(|it| it.path().join("bin").join(&name)))
        .find(|python| has(root, python, "venv").is_ok())
        .ok_or(format!(
            "{} needs Python {version}; install it, or name one that has {} in {}",
            emulator.name, emulator.name, emulator.variable
        ))
}

/// Where the tests look for it.
fn cache() -> Result<PathBuf, String> {
    set("UNDERLAY_CACHE")
        .or_else(|| Some(set("XDG_CACHE_HOME")?.join("underlay")))
        .or_else(|| Some(std::env::home_dir()?.join(".cache/underlay")))
        .map(|it| it.join("test-servers"))
        .ok_or("there is no home folder to install into; set UNDERLAY_CACHE".to_owned())
}

fn set(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable)
        .filter(|it| !it.is_empty())
        .map(PathBuf::from)
}
