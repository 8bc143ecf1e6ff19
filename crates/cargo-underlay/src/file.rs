//! Files that we write: whole or not at all. Does not know what is in them.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use crate::failure::Failure;

/// Who may read a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// As the system's settings have it.
    Everybody,
    /// Its owner only, where the platform can say so: it holds secrets.
    Owner,
}

/// Writes a text and a line end.
///
/// # Errors
///
/// When the file cannot be written; it is then as it was.
pub(crate) fn write(path: &Path, text: &str, access: Access) -> Result<(), Failure> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = PathBuf::from(name);
    let write = || {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        if access == Access::Owner {
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        }
        options
            .open(&temporary)?
            .write_all(format!("{text}\n").as_bytes())?;
        fs::rename(&temporary, path)
    };
    write().map_err(|error| {
        // It may not exist, and the first error is the one that counts.
        let _ = fs::remove_file(&temporary);
        Failure::io("write", path, &error)
    })
}
