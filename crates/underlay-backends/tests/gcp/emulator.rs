//! Google's Pub/Sub emulator, started for these tests and ended with them.

use std::{path::PathBuf, process::Command};

use crate::process::{Process, at_a_free_port};

/// Where Google's packages put it, below the folder of the SDK.
const FOLDER: &str = "platform/pubsub-emulator/lib";
const SDKS: &[&str] = &[
    "/usr/lib/google-cloud-sdk",
    "/usr/share/google-cloud-sdk",
    "/opt/google-cloud-sdk",
];

/// An emulator that ends with this.
pub(crate) struct Emulator {
    _process: Process,
    /// `host:port`.
    pub(crate) address: String,
}

impl Emulator {
    /// Starts it, or says why that cannot be.
    pub(crate) fn start() -> Result<Self, String> {
        let program = program().ok_or(
            "there is no Pub/Sub emulator under /usr/lib/google-cloud-sdk; install `google-cloud-cli-pubsub-emulator` from Google's package source, with a Java runtime",
        )?;
        at_a_free_port(|port| {
            let mut command = Command::new("java");
            command.arg("-jar").arg(&program);
            command.args(["--host=127.0.0.1", &format!("--port={port}")]);
            let is_up = |line: &str| line.contains("Server started, listening on ").then_some(());
            let (process, ()) = Process::start(&mut command, is_up)?;
            Ok(Self {
                _process: process,
                address: format!("127.0.0.1:{port}"),
            })
        })
    }

    /// Where Google's own clients find it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
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
