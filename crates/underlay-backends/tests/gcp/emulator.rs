//! Google's Pub/Sub emulator, started for these tests and ended with them.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

/// How many ports are tried.
const PORTS: usize = 3;
/// How long it may take to say where it listens.
const START: Duration = Duration::from_secs(60);
/// Where Google's packages put it, below the folder of the SDK.
const FOLDER: &str = "platform/pubsub-emulator/lib";
const SDKS: &[&str] = &[
    "/usr/lib/google-cloud-sdk",
    "/usr/share/google-cloud-sdk",
    "/opt/google-cloud-sdk",
];

/// An emulator that ends with this.
pub(crate) struct Emulator {
    process: Mutex<Child>,
    /// `host:port`.
    pub(crate) address: String,
}

impl Emulator {
    /// Starts it, or says why that cannot be.
    pub(crate) fn start() -> Result<Self, String> {
        let program = program().ok_or(
            "there is no Pub/Sub emulator under /usr/lib/google-cloud-sdk; install `google-cloud-cli-pubsub-emulator` from Google's package source, with a Java runtime",
        )?;
        // It does not choose a port itself, and somebody else may take the one that was free.
        let mut failure = String::new();
        for _ in 0..PORTS {
            match launch(&program) {
                Ok((process, address)) => {
                    return Ok(Self {
                        process: Mutex::new(process),
                        address,
                    });
                }
                Err(why) => failure = why,
            }
        }
        Err(failure)
    }

    /// Where Google's own clients find it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let process = self.process.get_mut().unwrap();
        let _ = process.kill();
        let _ = process.wait();
    }
}

/// One that listens on a port that was free.
fn launch(program: &Path) -> Result<(Child, String), String> {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = free.map_err(|error| format!("there is no free port: {error}"))?;
    let mut process = Command::new("java")
        .arg("-jar")
        .arg(program)
        .arg("--host=127.0.0.1")
        .arg(format!("--port={}", address.port()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("`java` does not start: {error}; install a Java runtime"))?;
    let log = process.stderr.take().ok_or("the emulator has no log")?;
    let (sender, lines) = mpsc::channel();
    // Ends with the emulator, which would stand still if nobody read its log.
    thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            // Nobody listens any more once it is up.
            let _ = sender.send(line);
        }
    });
    let begun = Instant::now();
    let mut text = String::new();
    while let Ok(line) = lines.recv_timeout(START.saturating_sub(begun.elapsed())) {
        if line.contains("Server started, listening on ") {
            return Ok((process, address.to_string()));
        }
        text += &line;
    }
    let _ = process.kill();
    let _ = process.wait();
    Err(format!("{} did not come up: {text}", program.display()))
}

/// The emulator's archive, if it is installed.
fn program() -> Option<PathBuf> {
    let files = SDKS.iter().flat_map(|sdk| {
        let folder = PathBuf::from(sdk).join(FOLDER);
        std::fs::read_dir(folder).into_iter().flatten().flatten()
    });
    files
        .map(|file| file.path())
        .find(|path| path.extension().is_some_and(|it| it == "jar"))
}
