//! The one error of this crate: what was attempted, on what, by which provider, and whether trying again may help.

use std::borrow::Cow;
use std::fmt;

/// The result of a backend's operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure an [`Error`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The object, key or message does not exist.
    NotFound,
    /// Something of that name exists already, or a precondition does not hold.
    PreconditionFailed,
    /// The caller asked for something that no backend could do: a malformed name, a negative count.
    InvalidArgument,
    /// The value under the key is of another type than the operation needs.
    WrongType,
    /// This backend cannot do that; its capabilities say so.
    Unsupported,
    /// The message, object or value is larger than the backend takes.
    TooLarge,
    /// The store is full, and its policy allows to drop nothing.
    Full,
    /// The server refused who we are or what we may do.
    PermissionDenied,
    /// The server could not be reached or did not answer in time.
    Unavailable,
    /// The server answered something that it should not have.
    Other,
}

/// A failed operation of a backend. Its text names the operation, the resource and the provider, never a payload,
/// a credential or a URL with a password.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    provider: &'static str,
    resource: String,
    message: Cow<'static, str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A failure of `provider` at `resource`; the message says what was attempted, in lower case.
    pub fn new(
        kind: ErrorKind,
        provider: &'static str,
        resource: impl Into<String>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            kind,
            provider,
            resource: resource.into(),
            message: message.into(),
            source: None,
        }
    }

    /// The same failure with its cause.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The provider that failed: `memory`, `disk`, `redis` and so on.
    pub fn provider(&self) -> &'static str {
        self.provider
    }

    /// The name of the topic, bucket or cache.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.kind == ErrorKind::Unavailable
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({} `{}`)",
            self.message, self.provider, self.resource
        )
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// The texts of an error and of all its causes, each once, joined by colons.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = error.source();
    }
    text
}
