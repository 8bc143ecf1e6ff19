//! Which working copy this is, and where its state lies. Two checkouts of one application share nothing.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::error::Error;

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
            state: root.join(".underlay"),
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
    /// When the folder or the file cannot be written.
    pub fn prepare(&self) -> Result<(), Error> {
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
}
