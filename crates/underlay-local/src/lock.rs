//! Locks between the processes of a checkout. The kernel gives them back when a process dies, however it dies.

use std::{
    fs::{File, TryLockError},
    path::Path,
    time::Duration,
};

use crate::{
    error::Error,
    report::{Reporter, waiting},
};

/// Takes the lock on a file, which is created where it is missing; dropping the file gives it back.
pub(crate) async fn take(path: &Path, cause: &str, reporter: &dyn Reporter) -> Result<File, Error> {
    let file = open(path)?;
    let attempts = async {
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(5)).await,
                Err(TryLockError::Error(error)) => return Err(Error::state("lock", path, &error)),
            }
        }
    };
    waiting(reporter, cause, attempts).await?;
    Ok(file)
}

fn open(path: &Path) -> Result<File, Error> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|error| Error::state("open", path, &error))
}
