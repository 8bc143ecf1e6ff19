//! An emulator of the tests' own: a process with a port and a folder, which end with it.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use tempfile::TempDir;

use crate::process::{NotUp, Process, at_a_free_port};

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
    python: PathBuf,
    port: u16,
    process: Mutex<Process>,
    folder: TempDir,
}

impl Emulator {
    /// Starts it, or says why that cannot be.
    pub(crate) fn start(kind: Kind) -> Result<Self, String> {
        let python = kind.python()?;
        let folder = TempDir::new().map_err(|error| error.to_string())?;
        let (port, process) = at_a_free_port(|port| {
            let process = launch(kind, &python, port, folder.path())?;
            Ok((port, process))
        })?;
        Ok(Self {
            kind,
            endpoint: format!("http://127.0.0.1:{port}"),
            python,
            port,
            process: Mutex::new(process),
            folder,
        })
    }

    /// Kills it.
    pub(crate) fn kill(&self) {
        self.process.lock().unwrap().kill();
    }

    /// Starts it again at the same address, after [`kill`](Self::kill). It has forgotten everything.
    pub(crate) fn start_again(&self) {
        let started = launch(self.kind, &self.python, self.port, self.folder.path());
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

fn fresh_name(what: &str, is_fifo: bool) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let suffix = if is_fifo { ".fifo" } else { "" };
    format!("{what}-{number}{suffix}")
}

fn launch(kind: Kind, python: &Path, port: u16, folder: &Path) -> Result<Process, NotUp> {
    let is_up = |line: &str| line.contains(kind.ready()).then_some(());
    let (process, ()) = Process::start(&mut kind.command(python, port, folder), is_up)?;
    Ok(process)
}
