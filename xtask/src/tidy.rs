//! `cargo xtask tidy`: what the compiler and clippy do not check, all of it at once, one line each.
//!
//! The rules read files only, so a unit test can show each of them failing on files that do not exist. Exceptions are
//! in `tidy/exceptions.rs`, each with its reason; one that is no longer needed is itself a violation.

mod code;
mod documents;
mod exceptions;
mod manifests;
mod rust;
mod tree;

use std::fmt;
use std::path::Path;

use crate::process::{self, cargo};
use tree::Tree;

/// One thing to mend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    path: String,
    line: usize,
    message: String,
}

impl Violation {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Checks the repository at `root`; the error lists every violation.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let tree = Tree::read(root)?;
    let mut violations = violations(&tree);
    violations.extend(unformatted(root)?);
    violations.sort();
    if violations.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = violations.iter().map(Violation::to_string).collect();
    Err(format!(
        "{}\ntidy: {} to mend",
        lines.join("\n"),
        lines.len()
    ))
}

/// The violations of every rule that reads files.
fn violations(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    manifests::check(tree, &mut found);
    rust::check(tree, &mut found);
    documents::check(tree, &mut found);
    found
}

/// The files that `cargo fmt` would change, and what it could not read.
fn unformatted(root: &Path) -> Result<Vec<Violation>, String> {
    let mut command = cargo(root, "fmt --all -- --check -l");
    let output = command.output().map_err(|error| {
        format!(
            "`{}` could not be started: {error}",
            process::shown(&command)
        )
    })?;
    let files = String::from_utf8_lossy(&output.stdout);
    let files = files.lines().map(|file| {
        let path = Path::new(file);
        let path = path.strip_prefix(root).unwrap_or(path).to_string_lossy();
        Violation::new(&path, 1, "is not formatted; run `cargo fmt`")
    });
    let mut found: Vec<Violation> = files.collect();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let errors = said.lines().filter(|line| !line.trim().is_empty());
        found.extend(
            errors.map(|line| Violation::new("Cargo.toml", 1, format!("`cargo fmt` says: {line}"))),
        );
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_repository_is_tidy() {
        if let Err(violations) = super::run(&crate::root()) {
            panic!("{violations}");
        }
    }
}
