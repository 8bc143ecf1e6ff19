//! Who runs a native server: we ourselves, or, when we are root, an account that PostgreSQL accepts.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use tokio::process::Command;

use crate::error::{Error, ErrorKind, os_text};

/// An account of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Our own user number.
pub(crate) async fn own_uid() -> Result<u32, Error> {
    // On Linux the kernel says it in the owner of this folder, without a child process.
    if cfg!(target_os = "linux")
        && let Ok(metadata) = fs::metadata("/proc/self")
    {
        return Ok(metadata.uid());
    }
    id("-u", None).await
}

/// The account that runs servers for us when we are root.
pub(crate) async fn for_root() -> Result<Account, Error> {
    for name in ["postgres", "nobody"] {
        if let (Ok(uid), Ok(gid)) = (id("-u", Some(name)).await, id("-g", Some(name)).await) {
            return Ok(Account {
                name: name.to_owned(),
                uid,
                gid,
            });
        }
    }
    Err(Error::new(
        ErrorKind::Native,
        "PostgreSQL refuses to run as root, and there is neither an account `postgres` nor `nobody` to run it; \
         start the application as another user",
    ))
}

async fn id(option: &str, name: Option<&str>) -> Result<u32, Error> {
    let output = Command::new("id").arg(option).args(name).output().await;
    let problem = |reason: String| {
        Error::new(
            ErrorKind::Native,
            format!("cannot learn a user number from `id`: {reason}"),
        )
    };
    let output = output.map_err(|error| problem(os_text(&error)))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .map_err(|_| problem(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

/// The first of a path and its parents that the account may not pass through, among those that exist.
pub(crate) fn barrier(path: &Path, account: &Account) -> Option<PathBuf> {
    path.ancestors()
        .find(|folder| {
            fs::metadata(folder).is_ok_and(|metadata| {
                let execute = match (metadata.uid() == account.uid, metadata.gid() == account.gid) {
                    (true, _) => 0o100,
                    (_, true) => 0o010,
                    _ => 0o001,
                };
                metadata.is_dir() && metadata.mode() & execute == 0
            })
        })
        .map(Path::to_owned)
}
