//! Which working copy this is, and where its state lies. Two checkouts of one application share nothing.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind};

/// The name of the folder for everything that we keep.
const STATE: &str = ".underlay";

/// One working copy of an application's source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// The workspace's root.
    pub root: PathBuf,
    /// The folder for everything that we keep: `.underlay` in the root.
    pub state: PathBuf,
    /// A short hash of the root's canonical path: eight hexadecimal digits.
    pub id: String,
}

impl Checkout {
    /// Finds the checkout that `start` lies in.
    ///
    /// The root is the nearest folder upwards with a `Cargo.lock`, an `underlay.toml` or a `Cargo.toml` that has a
    /// `[workspace]`; else `start` itself.
    ///
    /// # Errors
    ///
    /// When `start` does not exist.
    pub fn find(start: &Path) -> Result<Self, Error> {
        let start = fs::canonicalize(start)
            .map_err(|error| Error::state("find the folder", start, &error))?;
        let root = start
            .ancestors()
            .find(|folder| is_root(folder))
            .unwrap_or(&start)
            .to_owned();
        let digest = Sha256::digest(root.as_os_str().as_encoded_bytes());
        Ok(Self {
            state: root.join(STATE),
            id: hex::encode(&digest[..4]),
            root,
        })
    }

    /// What people call the checkout: its folder's name, as far as it can stand in a container's name.
    pub fn name(&self) -> String {
        let name = self
            .root
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        let is_allowed =
            |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
        name.chars().filter(is_allowed).collect()
    }

    /// Creates the state folder, with a `.gitignore` of its own, where it is missing.
    ///
    /// # Errors
    ///
    /// When the folder or the file cannot be written, or cargo would take the folder for a package.
    pub fn prepare(&self) -> Result<(), Error> {
        if !self.state.exists() {
            self.refuse_to_be_a_member()?;
        }
        fs::create_dir_all(&self.state)
            .map_err(|error| Error::state("create", &self.state, &error))?;
        let ignore = self.state.join(".gitignore");
        match fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&ignore)
        {
            Ok(mut file) => io::Write::write_all(&mut file, b"*\n")
                .map_err(|error| Error::state("write", &ignore, &error)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(Error::state("write", &ignore, &error)),
        }
    }

    /// Cargo takes every folder that a glob of `members` matches for a package, hidden or not, and refuses the whole
    /// workspace when one has no manifest.
    fn refuse_to_be_a_member(&self) -> Result<(), Error> {
        let path = self.root.join("Cargo.toml");
        // What cannot be read or is no manifest is cargo's to complain about.
        let manifest = fs::read_to_string(&path)
            .ok()
            .and_then(|text| basic_toml::from_str::<Manifest>(&text).ok());
        let Some(Workspace { members, exclude }) = manifest.and_then(|it| it.workspace) else {
            return Ok(());
        };
        let is_excluded = exclude
            .iter()
            .any(|it| self.state.starts_with(self.root.join(it)));
        match members.iter().find(|it| reaches_state(it)) {
            Some(member) if !is_excluded => Err(Error::new(
                ErrorKind::Settings,
                format!(
                    "{}: `{member}` under `members` would make cargo take Underlay's folder `{STATE}` for a package; add \
                     it to `exclude` under [workspace]: exclude = [\"{STATE}\"]",
                    path.display()
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// What counts of a `Cargo.toml`.
#[derive(serde::Deserialize)]
struct Manifest {
    workspace: Option<Workspace>,
}

#[derive(serde::Deserialize)]
struct Workspace {
    #[serde(default)]
    members: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
}

/// Whether a glob of `members` matches the state folder or the folders in it.
fn reaches_state(glob: &str) -> bool {
    let mut parts = glob.split('/').filter(|it| !matches!(*it, "" | "."));
    parts
        .next()
        .is_some_and(|first| first != STATE && wildcard_matches(first.as_bytes(), STATE.as_bytes()))
        && parts.all(|it| it.bytes().all(|byte| byte == b'*'))
}

fn wildcard_matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) if wildcard_matches(rest, text) => true,
        (Some((b'*', _)), Some((_, tail))) => wildcard_matches(pattern, tail),
        (Some((wanted, rest)), Some((byte, tail))) => {
            (*wanted == b'?' || wanted == byte) && wildcard_matches(rest, tail)
        }
        _ => false,
    }
}

fn is_root(folder: &Path) -> bool {
    folder.join("Cargo.lock").is_file()
        || folder.join("underlay.toml").is_file()
        || fs::read_to_string(folder.join("Cargo.toml"))
            .is_ok_and(|text| text.lines().any(|line| line.trim() == "[workspace]"))
}

/// Writes a file whole or not at all; nobody but its owner can read it.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = PathBuf::from(name);
    let write = || {
        let _ = fs::remove_file(&temporary);
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        io::Write::write_all(&mut options.open(&temporary)?, content)?;
        fs::rename(&temporary, path)
    };
    write().map_err(|error| Error::state("write", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_marked_folder_is_the_root() {
        let folder = std::env::temp_dir().join(format!("underlay-checkout-{}", std::process::id()));
        let inner = folder.join("crates/shop/src");
        fs::create_dir_all(&inner).unwrap();
        fs::write(folder.join("crates/shop/Cargo.toml"), "[package]\n").unwrap();
        fs::write(folder.join("Cargo.toml"), "[workspace]\n").unwrap();
        let checkout = Checkout::find(&inner).unwrap();
        assert_eq!(checkout.root, fs::canonicalize(&folder).unwrap());
        assert_eq!(checkout.id.len(), 8);
        checkout.prepare().unwrap();
        checkout.prepare().unwrap();
        assert_eq!(
            fs::read_to_string(checkout.state.join(".gitignore")).unwrap(),
            "*\n"
        );
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_state_folder_that_cargo_would_take_for_a_package_is_refused() {
        let root = std::env::temp_dir().join(format!("underlay-members-{}", std::process::id()));
        let check = |workspace: &str, is_taken: bool| {
            fs::create_dir_all(root.join("member/src")).unwrap();
            fs::write(root.join("member/src/lib.rs"), "").unwrap();
            let package = "[package]\nname = \"member\"\n";
            fs::write(root.join("member/Cargo.toml"), package).unwrap();
            let text = format!("[workspace]\n{workspace}\n");
            fs::write(root.join("Cargo.toml"), text).unwrap();
            let checkout = Checkout::find(&root).unwrap();
            let refusal = checkout.prepare().err().map(|it| it.to_string());
            assert_eq!(refusal.is_some(), is_taken, "{workspace}: {refusal:?}");
            assert_eq!(checkout.state.exists(), !is_taken);
            if let Some(text) = refusal {
                let way_out = "exclude = [\".underlay\"]";
                assert!(text.ends_with(way_out), "{text}");
            }
            // What we say is what cargo does.
            fs::create_dir_all(checkout.state.join("default")).unwrap();
            let output = std::process::Command::new(env!("CARGO"))
                .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
                .current_dir(&root)
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stderr);
            assert_eq!(text.contains(STATE), is_taken, "{workspace}: {text}");
            fs::remove_dir_all(&root).unwrap();
        };
        check("members = [\"*\"]", true);
        check("members = [\"member\", \"./*/\"]", true);
        check("members = [\"**\"]", true);
        check("members = [\"?under*\"]", true);
        check("members = [\"*/*\"]", true);
        check("members = [\"*\"]\nexclude = [\".underlay\"]", false);
        check("members = [\"*\"]\nexclude = [\"./.underlay/\"]", false);
        check("members = [\"mem*\"]", false);
        check("members = [\"**/member\"]", false);
        check("", false);
    }
}
