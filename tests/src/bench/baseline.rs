//! Packages that a bench writes: the bare programs, and applications too large to write by hand.
//!
//! Each is a workspace of its own outside this one, so that nothing here slows the project's own build. Versions,
//! features and profiles are those of this repository: its root manifest and lock file are taken over.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{file_error, repository, write};

/// What a web server with a database and logs needs without Underlay, with the features that Underlay asks for.
const BARE: &str = "\
axum = { workspace = true, features = [\"http1\", \"json\", \"matched-path\", \"query\", \"tokio\"] }
serde.workspace = true
sqlx.workspace = true
tokio = { workspace = true, features = [\"macros\", \"net\", \"rt-multi-thread\", \"signal\", \"sync\", \"time\"] }
tracing.workspace = true
tracing-subscriber.workspace = true
";

/// A package in a workspace of its own.
#[derive(Debug)]
pub struct Package {
    /// The workspace's root.
    pub root: PathBuf,
    /// The package's folder.
    pub folder: PathBuf,
}

impl Package {
    /// Writes the manifests of a package with these lines as its dependencies.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or written.
    pub fn write(root: PathBuf, name: &str, dependencies: &str) -> Result<Self, String> {
        let ours = repository();
        let manifest = ours.join("Cargo.toml");
        let text =
            fs::read_to_string(&manifest).map_err(|error| file_error("read", &manifest, &error))?;
        write(&root.join("Cargo.toml"), &workspace(&text, name, ours))?;
        let (from, to) = (ours.join("Cargo.lock"), root.join("Cargo.lock"));
        fs::copy(&from, &to).map_err(|error| file_error("copy", &from, &error))?;
        let folder = root.join(name);
        let text = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n\
             [dependencies]\n{dependencies}"
        );
        write(&folder.join("Cargo.toml"), &text)?;
        Ok(Self { root, folder })
    }

    /// A bare program, with the migrations of one database.
    ///
    /// # Errors
    ///
    /// As [`Package::write`].
    pub fn bare(root: PathBuf, name: &str, main: &str, migrations: &str) -> Result<Self, String> {
        let package = Self::write(root, name, BARE)?;
        write(&package.folder.join("src/main.rs"), main)?;
        let from = repository().join("migrations-example").join(migrations);
        let entries = fs::read_dir(&from).map_err(|error| file_error("read", &from, &error))?;
        for entry in entries {
            let path = entry
                .map_err(|error| file_error("read", &from, &error))?
                .path();
            let name = path.file_name().unwrap_or_default();
            let text =
                fs::read_to_string(&path).map_err(|error| file_error("read", &path, &error))?;
            write(&package.folder.join("migrations").join(name), &text)?;
        }
        Ok(package)
    }
}

/// This repository's root manifest, with another member, and with paths that hold from elsewhere.
fn workspace(text: &str, member: &str, repository: &Path) -> String {
    let crates = format!("path = \"{}/crates/", repository.display()).replace('\\', "/");
    let line = |line: &str| {
        if line.starts_with("members = ") {
            format!("members = [\"{member}\"]\n")
        } else {
            format!("{}\n", line.replace("path = \"crates/", &crates))
        }
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_ours_with_another_member() {
        let text = "[workspace]\nmembers = [\"crates/*\"]\n[workspace.dependencies]\n\
                    underlay = { path = \"crates/underlay\" }\nserde = \"1\"\n";
        let expected = "[workspace]\nmembers = [\"bare\"]\n[workspace.dependencies]\n\
                        underlay = { path = \"/repository/crates/underlay\" }\nserde = \"1\"\n";
        assert_eq!(workspace(text, "bare", Path::new("/repository")), expected);
    }
}
