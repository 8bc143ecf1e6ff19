//! An emulator of the tests' own: a process with a port and a folder, which end with it.

use std::{
    io::{BufRead as _, BufReader, Read},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long an emulator may take to say that it is there.
const START: Duration = Duration::from_secs(90);
/// How often it is started when somebody else was faster at its port.
const TRIES: usize = 3;
/// The region that is asked for.
pub(crate) const REGION: &str = "us-east-1";

/// Which emulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    LocalStack,
    Moto,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::LocalStack => "localstack",
            Self::Moto => "moto",
        }
    }

    /// The account that it takes everybody for.
    fn account(self) -> &'static str {
        match self {
            Self::LocalStack => "000000000000",
            Self::Moto => "123456789012",
        }
    }

    /// The Python in which it is installed: as the environment says, or where `cargo xtask test` puts it.
    fn python(self) -> Result<PathBuf, String> {
        let (variable, folder) = match self {
            Self::LocalStack => ("UNDERLAY_LOCALSTACK_PYTHON", "localstack-4.14.0"),
            Self::Moto => ("UNDERLAY_MOTO_PYTHON", "moto-5.2.5"),
        };
        let set = |name: &str| {
            std::env::var_os(name)
                .filter(|it| !it.is_empty())
                .map(PathBuf::from)
        };
        if let Some(python) = set(variable) {
            return Ok(python);
        }
        let cache = set("UNDERLAY_CACHE")
            .or_else(|| Some(set("XDG_CACHE_HOME")?.join("underlay")))
            .or_else(|| Some(std::env::home_dir()?.join(".cache/underlay")));
        let python = cache.map(|it| it.join("test-servers").join(folder).join("bin/python"));
        python.filter(|it| it.is_file()).ok_or(format!(
            "it is not installed; run `cargo xtask test`, or name a Python that has it in {variable}"
        ))
    }

    fn command(self, python: &Path, port: u16, folder: &Path) -> Command {
        let mut command = Command::new(python);
        match self {
            Self::LocalStack => command
                .args(["-m", "localstack.runtime.main"])
                .env("GATEWAY_LISTEN", format!("127.0.0.1:{port}"))
                .env("GATEWAY_SERVER", "hypercorn")
                .env("SKIP_SSL_CERT_DOWNLOAD", "1")
                .env("DISABLE_EVENTS", "1")
                .env("DNS_ADDRESS", "0")
                .env("SERVICES", "sqs,sns")
                .env("EAGER_SERVICE_LOADING", "1")
                .env("STRICT_SERVICE_LOADING", "0")
                .env("OVERRIDE_IN_DOCKER", "0")
                .env("FILESYSTEM_ROOT", folder),
            Self::Moto => command
                .args(["-m", "moto.server", "-H", "127.0.0.1", "-p"])
                .arg(port.to_string()),
        };
        command.current_dir(folder);
        command
    }

    /// What it says when it is there.
    fn ready(self) -> &'static str {
        match self {
            Self::LocalStack => "Ready.",
            Self::Moto => "Running on http",
        }
    }
}

/// A running emulator.
pub(crate) struct Emulator {
    pub(crate) kind: Kind,
    pub(crate) endpoint: String,
    port: u16,
    process: Mutex<Child>,
    folder: TempDir,
}

impl Emulator {
    /// Starts it, or says why that cannot be.
    pub(crate) fn start(kind: Kind) -> Result<Self, String> {
        let folder = TempDir::new().map_err(|error| error.to_string())?;
        let mut failure = String::new();
        for _ in 0..TRIES {
            let free = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
            let port = free.map_err(|error| error.to_string())?.port();
            match launch(kind, port, folder.path()) {
                Ok(process) => {
                    return Ok(Self {
                        kind,
                        endpoint: format!("http://127.0.0.1:{port}"),
                        port,
                        process: Mutex::new(process),
                        folder,
                    });
                }
                Err(Launch::Final(why)) => return Err(why),
                Err(Launch::Again(why)) => failure = why,
            }
        }
        Err(failure)
    }

    /// Kills it.
    pub(crate) fn kill(&self) {
        let mut process = self.process.lock().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Starts it again at the same address, after [`kill`](Self::kill). It has forgotten everything.
    pub(crate) fn start_again(&self) {
        let started = launch(self.kind, self.port, self.folder.path());
        *self.process.lock().unwrap() = started.ok().expect("it starts again");
    }

    /// The ARN of a topic that no other test uses.
    pub(crate) fn fresh_topic(&self, is_fifo: bool) -> String {
        format!(
            "arn:aws:sns:{REGION}:{}:{}",
            self.kind.account(),
            fresh_name("topic", is_fifo)
        )
    }

    /// The URL of a queue that no other test uses.
    pub(crate) fn fresh_queue(&self, is_fifo: bool) -> String {
        format!(
            "{}/{}/{}",
            self.endpoint,
            self.kind.account(),
            fresh_name("queue", is_fifo)
        )
    }

    /// The ARN of a queue.
    pub(crate) fn queue_arn(&self, url: &str) -> String {
        let name = url.rsplit('/').next().unwrap();
        format!("arn:aws:sqs:{REGION}:{}:{name}", self.kind.account())
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let process = self.process.get_mut().unwrap();
        let _ = process.kill();
        let _ = process.wait();
    }
}

fn fresh_name(what: &str, is_fifo: bool) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let suffix = if is_fifo { ".fifo" } else { "" };
    format!("{what}-{number}{suffix}")
}

/// Why an emulator did not start.
enum Launch {
    Final(String),
    /// It ended; at another port it may not.
    Again(String),
}

fn launch(kind: Kind, port: u16, folder: &Path) -> Result<Child, Launch> {
    let python = kind.python().map_err(Launch::Final)?;
    let mut command = kind.command(&python, port, folder);
    let process = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut process = process
        .map_err(|error| Launch::Final(format!("{} does not start: {error}", python.display())))?;
    let lines = lines(&mut process);
    let begun = Instant::now();
    let mut last = String::new();
    loop {
        match lines.recv_timeout(START.saturating_sub(begun.elapsed())) {
            Ok(line) if line.contains(kind.ready()) => return Ok(process),
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => last = line,
            Err(why) => {
                let _ = process.kill();
                let _ = process.wait();
                let text = format!("{} did not come up; it said last: {last}", kind.name());
                return Err(match why {
                    mpsc::RecvTimeoutError::Timeout => Launch::Final(text),
                    mpsc::RecvTimeoutError::Disconnected => Launch::Again(text),
                });
            }
        }
    }
}

/// What a process says. It is read until its end: it would stand still otherwise.
fn lines(process: &mut Child) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    let output = process
        .stdout
        .take()
        .map(|it| Box::new(it) as Box<dyn Read + Send>);
    let errors = process
        .stderr
        .take()
        .map(|it| Box::new(it) as Box<dyn Read + Send>);
    for stream in [output, errors].into_iter().flatten() {
        let sender = sender.clone();
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                // Nobody listens any more once it is up.
                let _ = sender.send(line);
            }
        });
    }
    lines
}
