//! The error of this crate, and what a handler's failure means.

use std::borrow::Cow;
use std::fmt;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
pub(crate) use underlay_backends::error::chain;

/// The result of Underlay's operations, and what handlers usually return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure an [`Error`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The resource was used before the application was started, or outside a test that owns it.
    NotStarted,
    /// The declarations, the infra config or the environment are wrong; the text lists every problem.
    Configuration,
    /// The object, key or row does not exist.
    NotFound,
    /// Something of that name exists already, or a precondition does not hold.
    PreconditionFailed,
    /// The caller asked for something that cannot be done: a malformed name, a negative count.
    InvalidArgument,
    /// A server could not be reached, or did not answer in time.
    Unavailable,
    /// A handler's message will never be handled: it goes to the dead letters at once.
    Unrecoverable,
    /// Anything else.
    Other,
}

/// A failed operation: what was attempted, on which resource, and why it failed.
///
/// It converts from the errors that handlers meet (`sqlx`, `serde_json`, `std::io`, texts and boxed errors), so `?`
/// works in them. As a response it is a status that fits its kind; the text is logged, not sent.
///
/// # Example
///
/// ```
/// fn parse(text: &str) -> underlay::Result<i64> {
///     text.parse().map_err(underlay::Error::unrecoverable)
/// }
/// assert_eq!(parse("x").unwrap_err().kind(), underlay::ErrorKind::Unrecoverable);
/// ```
pub struct Error {
    kind: ErrorKind,
    message: Cow<'static, str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A failure with a sentence of its own, in lower case and without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// A failure of the kind [`ErrorKind::Other`].
    pub fn message(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Other, message)
    }

    /// A failure that delivering the message again cannot mend: the message goes to the dead letters at once.
    pub fn unrecoverable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(ErrorKind::Unrecoverable, "the message can never be handled").with_source(cause)
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

    pub(crate) fn not_started(kind: &str, name: &str) -> Self {
        Self::new(
            ErrorKind::NotStarted,
            format!(
                "the {kind} `{name}` is not bound here: start the application first \
                 (`underlay::run()` or `underlay::start()`), or use `#[underlay::test]`"
            ),
        )
    }

    /// The status that fits its kind.
    pub(crate) fn status(&self) -> StatusCode {
        match self.kind {
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::PreconditionFailed => StatusCode::CONFLICT,
            ErrorKind::InvalidArgument => StatusCode::BAD_REQUEST,
            ErrorKind::Unavailable | ErrorKind::NotStarted => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The message with all its causes, for logs.
    pub(crate) fn chain(&self) -> String {
        chain(self)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.chain())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<underlay_backends::Error> for Error {
    fn from(error: underlay_backends::Error) -> Self {
        use underlay_backends::ErrorKind as Backend;
        let kind = match error.kind() {
            Backend::NotFound => ErrorKind::NotFound,
            Backend::PreconditionFailed => ErrorKind::PreconditionFailed,
            Backend::InvalidArgument | Backend::WrongType | Backend::TooLarge => {
                ErrorKind::InvalidArgument
            }
            Backend::Unavailable => ErrorKind::Unavailable,
            _ => ErrorKind::Other,
        };
        Self::new(kind, error.to_string()).with_source(error)
    }
}

macro_rules! from_error {
    ($($ty:ty: $message:literal,)*) => {$(
        impl From<$ty> for Error {
            fn from(error: $ty) -> Self {
                Self::message($message).with_source(error)
            }
        }
    )*};
}

from_error! {
    serde_json::Error: "JSON could not be read or written",
    std::io::Error: "input or output failed",
    std::string::FromUtf8Error: "text is not UTF-8",
    Box<dyn std::error::Error + Send + Sync>: "the operation failed",
}

#[cfg(feature = "postgres")]
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let (kind, message) = match &error {
            sqlx::Error::RowNotFound => (ErrorKind::NotFound, "the query returned no row"),
            sqlx::Error::PoolTimedOut => (
                ErrorKind::Unavailable,
                "no connection to the database became free in time: all are in use, or the server does not answer",
            ),
            sqlx::Error::Io(_) => (ErrorKind::Unavailable, "the database could not be reached"),
            _ => (ErrorKind::Other, "the database query failed"),
        };
        Self::new(kind, message).with_source(error)
    }
}

impl From<String> for Error {
    fn from(message: String) -> Self {
        Self::message(message)
    }
}

impl From<&'static str> for Error {
    fn from(message: &'static str) -> Self {
        Self::message(message)
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::error!(target: "underlay", error = self.chain(), "a request failed");
        }
        status.into_response()
    }
}
