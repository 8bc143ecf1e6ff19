//! A NATS server of the bench's own, which ends with it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub(crate) struct Server {
    process: Child,
    pub(crate) address: String,
}

impl Server {
    /// Starts the `nats-server` of this machine on a free port, with its files in a folder.
    pub(crate) fn start(folder: &Path) -> Result<Self, String> {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let program = std::env::split_paths(&paths)
            .chain([PathBuf::from("/usr/sbin")])
            .map(|folder| folder.join("nats-server"))
            .find(|program| program.is_file())
            .ok_or("there is no program `nats-server`; install it (Debian: `apt-get install nats-server`)")?;
        std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        let mut process = Command::new(program)
            .args([
                "--addr",
                "127.0.0.1",
                "--port",
                "-1",
                "--jetstream",
                "--store_dir",
            ])
            .arg(folder.join("store"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("nats-server does not start: {error}"))?;
        let log = process.stderr.take().ok_or("nats-server has no log")?;
        let mut server = Self {
            process,
            address: String::new(),
        };
        let mut lines = BufReader::new(log).lines().map_while(Result::ok);
        let listening = lines.find_map(|line| {
            let (_, address) = line.rsplit_once("Listening for client connections on ")?;
            Some(address.trim().to_owned())
        });
        server.address = listening.ok_or("nats-server did not say where it listens")?;
        // It would stand still if nobody read its log.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
