//! A NATS server of the bench's own, which ends with it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

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
        let process = Command::new(program)
            .args([
                "--addr",
                "127.0.0.1",
                "--port",
                "-1",
                "--jetstream",
                "--store_dir",
            ])
            .arg(folder.join("store"))
            .arg("--ports_file_dir")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("nats-server does not start: {error}"))?;
        let ports = folder.join(format!("nats-server_{}.ports", process.id()));
        let mut server = Self {
            process,
            address: String::new(),
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            let text = std::fs::read_to_string(&ports).unwrap_or_default();
            let known: Value = serde_json::from_str(&text).unwrap_or_default();
            if let Some(address) = known["nats"][0].as_str() {
                address.clone_into(&mut server.address);
                return Ok(server);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err("nats-server did not say where it listens".to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
