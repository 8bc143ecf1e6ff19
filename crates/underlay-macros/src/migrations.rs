//! The migrations directory of a `#[database]`: the one thing that this crate reads from disk.
//!
//! It knows where the directory is and which files count; what their names mean is in `underlay_model::migration`.

use std::path::{Component, Path, PathBuf};

use sha2::{Digest as _, Sha384};
use syn::LitStr;
use underlay_model::migration::{self, Direction};
use underlay_model::nearest::did_you_mean;

use crate::errors::Errors;

/// A migration that is applied.
pub(crate) struct File {
    pub(crate) number: i64,
    pub(crate) description: String,
    /// The name of its `.up.sql` file.
    pub(crate) file: String,
    /// The absolute path of its `.up.sql` file.
    pub(crate) path: String,
    /// SHA-384 of its text in hex, as sqlx has it.
    pub(crate) checksum: String,
}

/// The migrations in `dir`, by number.
pub(crate) fn read(dir: &LitStr, errors: &mut Errors) -> Vec<File> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .unwrap_or_default();
    match locate(&package, &dir.value()).and_then(|path| read_dir(&path)) {
        Ok(files) => files,
        Err(problems) => {
            for problem in problems {
                errors.push(dir, problem);
            }
            Vec::new()
        }
    }
}

/// The directory's place, if it exists inside of the package or its workspace.
fn locate(package: &Path, dir: &str) -> Result<PathBuf, Vec<String>> {
    let one = |problem: String| Err(vec![problem]);
    if dir.is_empty() {
        return one("`migrations` is empty; name a directory such as `migrations`".to_owned());
    }
    if Path::new(dir).is_absolute() || dir.starts_with(['/', '\\']) {
        return one(format!(
            "`{dir}` is an absolute path; write it relative to the package's folder"
        ));
    }
    let path = normalise(&package.join(dir));
    let root = workspace_root(package);
    if !path.starts_with(&root) {
        return one(format!(
            "`{dir}` lies outside of the package and its workspace"
        ));
    }
    // Shown relative, so that the error is the same on every machine.
    let shown = path
        .strip_prefix(&root)
        .unwrap_or(&path)
        .display()
        .to_string()
        .replace('\\', "/");
    let from = match package.strip_prefix(&root) {
        Ok(rest) if rest.as_os_str().is_empty() => "the package's folder".to_owned(),
        _ => "the workspace's folder".to_owned(),
    };
    if path.is_dir() {
        return Ok(path);
    }
    if path.exists() {
        return one(format!(
            "`{shown}` in {from} is a file; `migrations` names a directory"
        ));
    }
    let siblings: Vec<String> = path
        .parent()
        .and_then(|parent| std::fs::read_dir(parent).ok())
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter(|it| it.path().is_dir())
        .map(|it| it.file_name().to_string_lossy().into_owned())
        .collect();
    let name = path
        .file_name()
        .map(|it| it.to_string_lossy().into_owned())
        .unwrap_or_default();
    let nearest = did_you_mean(&name, siblings.iter().map(String::as_str));
    one(format!(
        "there is no directory `{shown}` in {from}{nearest}"
    ))
}

/// The folder of the workspace that the package is in, or the package's own.
fn workspace_root(package: &Path) -> PathBuf {
    let declares_workspace = |dir: &Path| {
        std::fs::read_to_string(dir.join("Cargo.toml")).is_ok_and(|text| {
            text.lines()
                .any(|line| line.trim_start().starts_with("[workspace"))
        })
    };
    package
        .ancestors()
        .find(|it| declares_workspace(it))
        .unwrap_or(package)
        .to_owned()
}

/// The path without `.` and `..`; symbolic links are left alone.
fn normalise(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

fn read_dir(dir: &Path) -> Result<Vec<File>, Vec<String>> {
    let unreadable = |path: &Path, error: std::io::Error| {
        format!("`{}` cannot be read: {error}", path.display())
    };
    let entries = std::fs::read_dir(dir).map_err(|error| vec![unreadable(dir, error)])?;
    let mut problems = Vec::new();
    let mut names = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) if entry.path().is_dir() => {}
            Ok(entry) => names.push(entry.file_name().to_string_lossy().into_owned()),
            Err(error) => problems.push(unreadable(dir, error)),
        }
    }
    names.sort();
    let mut files = Vec::new();
    for name in names {
        match migration::parse_file_name(&name) {
            Ok(file) => files.extend(file),
            Err(problem) => problems.push(problem),
        }
    }
    problems.extend(migration::check_set(&files));
    let mut migrations = Vec::new();
    for file in files.into_iter().filter(|it| it.direction == Direction::Up) {
        let path = dir.join(&file.name);
        match std::fs::read_to_string(&path) {
            Ok(sql) => migrations.push(File {
                number: file.number,
                description: file.description,
                file: file.name,
                path: path.to_string_lossy().into_owned(),
                checksum: hex(&Sha384::digest(sql.as_bytes())),
            }),
            Err(error) => problems.push(unreadable(&path, error)),
        }
    }
    migrations.sort_by_key(|it| it.number);
    if problems.is_empty() {
        Ok(migrations)
    } else {
        Err(problems)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
