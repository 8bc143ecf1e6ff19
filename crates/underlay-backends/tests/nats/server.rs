//! A nats-server of the tests' own, on a free port and with its files in a temporary folder.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long a server may take to say where it listens.
const START: Duration = Duration::from_secs(20);

/// A server of the tests' own, which ends with this.
pub(crate) struct Server {
    process: Mutex<Child>,
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
        process.kill().unwrap();
        process.wait().unwrap();
        (*process, _) = launch(self.folder.path(), &self.address, "").unwrap();
    }
}

/// A server with its files in a folder, and where it listens.
fn launch(folder: &Path, listen: &str, config: &str) -> Result<(Child, String), String> {
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
    let mut process = Command::new(&program)
        .arg("-c")
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{} does not start: {error}", program.display()))?;
    let log = process.stderr.take().ok_or("the server has no log")?;
    let (sender, lines) = mpsc::channel();
    // Ends with the server, which would stand still if nobody read its log.
    thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            // Nobody listens any more once the server is up.
            let _ = sender.send(line);
        }
    });
    let begun = Instant::now();
    let (mut text, mut address) = (String::new(), None);
    while let Ok(line) = lines.recv_timeout(START.saturating_sub(begun.elapsed())) {
        if let Some((_, place)) = line.split_once("Listening for client connections on ") {
            address = Some(place.trim().to_owned());
        }
        if let (Some(address), true) = (&address, line.contains("Server is ready")) {
            return Ok((process, address.clone()));
        }
        text += &line;
    }
    let _ = process.kill();
    let _ = process.wait();
    Err(format!("{} did not come up: {text}", program.display()))
}

impl Drop for Server {
    fn drop(&mut self) {
        let process = self.process.get_mut().unwrap();
        let _ = process.kill();
        let _ = process.wait();
    }
}
