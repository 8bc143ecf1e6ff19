//! What can go wrong while provisioning, each as one sentence that says what to do.
//!
//! A message is complete: it names what was tried, where, why it failed and the way out, and never a password. So an
//! [`Error`] has no `source` that would repeat it.

use std::fmt;

/// What an [`Error`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// `underlay.toml` or one of our environment variables.
    Settings,
    /// The name of an infrastructure namespace, or what is done to it.
    Namespace,
    /// The file with the local secrets.
    Secrets,
    /// A file or folder of ours that cannot be read or written.
    State,
    /// The Docker engine, or a container of ours.
    Docker,
    /// A server that runs from binaries on this machine.
    Native,
    /// The download of server binaries.
    Download,
    /// No way to get a PostgreSQL server works.
    NoPostgres,
    /// A PostgreSQL server that answers, but not as it should.
    Database,
    /// Something that is still in use.
    InUse,
}

/// One thing that went wrong, as one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

impl Error {
    /// An error of a kind with its sentence: lower case, without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// What it is about.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(crate) fn state(action: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(
            ErrorKind::State,
            format!("cannot {action} {}: {}", path.display(), os_text(error)),
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Everything that went wrong; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errors(pub Vec<Error>);

impl From<Error> for Errors {
    fn from(error: Error) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// The text of an operating system error, without `(os error 2)`.
pub(crate) fn os_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => "unknown error".to_owned(),
    }
}
