//! A nats-server of the tests' own, on a free port and with its files in a temporary folder.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use tempfile::TempDir;

use crate::process::Process;

/// A server of the tests' own, which ends with this.
pub(crate) struct Server {
    process: Mutex<Process>,
    pub(crate) address: String,
    folder: TempDir,
}

impl Server {
    /// Starts it, or says why that cannot be.
    pub(crate) fn start(config: &str) -> Result<Self, String> {
        let folder = TempDir::new().map_err(|error| error.to_string())?;
        let (process, address) = launch(folder.path(), "127.0.0.1:-1", config)?;
        Ok(Self {
            process: Mutex::new(process),
            address,
            folder,
        })
    }

    /// Kills it and starts it again, with the same messages at the same address.
    pub(crate) fn restart(&self) {
        let mut process = self.process.lock().unwrap();
        process.kill();
        (*process, _) = launch(self.folder.path(), &self.address, "").unwrap();
    }
}

/// A server with its files in a folder, and where it listens.
fn launch(folder: &Path, listen: &str, config: &str) -> Result<(Process, String), String> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let program = std::env::split_paths(&paths)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join("nats-server"))
        .find(|program| program.is_file());
    let program = program.ok_or(
        "there is no program `nats-server`; install it (Debian: `apt-get install nats-server`)",
    )?;
    let file = folder.join("server.conf");
    let store = folder.join("store");
    let text = format!(
        "listen: {listen:?}\njetstream {{ store_dir: {:?} }}\n{config}\n",
        store.display().to_string()
    );
    std::fs::write(&file, text).map_err(|error| error.to_string())?;
    let mut address = None;
    let up = Process::start(Command::new(program).arg("-c").arg(&file), |line| {
        if let Some((_, place)) = line.split_once("Listening for client connections on ") {
            address = Some(place.trim().to_owned());
        }
        address.clone().filter(|_| line.contains("Server is ready"))
    });
    Ok(up?)
}
