//! `cargo-underlay` as a test runs it, and how it ended. Knows no project.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// How a command ended.
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program of this repository, away from terminals, from the network, and from what this environment says.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-underlay"));
    command
        .stdin(Stdio::null())
        .env("CARGO", env!("CARGO"))
        .env("CARGO_NET_OFFLINE", "true")
        .env("NO_COLOR", "1");
    for name in [
        "UNDERLAY_NAMESPACE",
        "UNDERLAY_POSTGRES",
        "PGOPTIONS",
        "DATABASE_URL",
    ] {
        command.env_remove(name);
    }
    command
}

impl Outcome {
    pub(crate) fn of(mut command: Command) -> Self {
        let Output {
            status,
            stdout,
            stderr,
        } = command.stdin(Stdio::null()).output().unwrap();
        Self {
            code: status.code(),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }

    /// Standard output of a command that must have done what it was asked.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Standard output as JSON, of a command that ended with this code.
    #[track_caller]
    pub(crate) fn json(&self, code: i32) -> Value {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr))
    }
}
