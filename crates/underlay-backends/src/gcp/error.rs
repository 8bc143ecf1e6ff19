//! What the errors of Google's client mean, in this crate's kinds.
//!
//! The texts are ours: Google's are kept as sources.

use google_cloud_gax::error::{CredentialsError, Error as GoogleError, rpc::Code};
use google_cloud_pubsub::error::{AckError, PublishError};

use crate::{Error, ErrorKind, gcp::PROVIDER};

/// The kind of failure.
pub(super) fn class(error: &GoogleError) -> ErrorKind {
    if let Some(status) = error.status() {
        return match status.code {
            Code::NotFound => ErrorKind::NotFound,
            Code::AlreadyExists | Code::FailedPrecondition => ErrorKind::PreconditionFailed,
            Code::InvalidArgument | Code::OutOfRange => ErrorKind::InvalidArgument,
            Code::PermissionDenied | Code::Unauthenticated => ErrorKind::PermissionDenied,
            Code::Unimplemented => ErrorKind::Unsupported,
            // A quota that is used up is there again later.
            Code::ResourceExhausted
            | Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::Cancelled
            | Code::Internal => ErrorKind::Unavailable,
            _ => ErrorKind::Other,
        };
    }
    if error.is_authentication() {
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            if let Some(credentials) = error.downcast_ref::<CredentialsError>()
                && credentials.is_transient()
            {
                return ErrorKind::Unavailable;
            }
            cause = error.source();
        }
        return ErrorKind::PermissionDenied;
    }
    if error.is_timeout()
        || error.is_exhausted()
        || error.is_io()
        || error.is_connect()
        || error.is_transport()
    {
        return ErrorKind::Unavailable;
    }
    ErrorKind::Other
}

/// A failed call: what was attempted on what, and what kind of failure it is.
pub(super) fn failed(resource: &str, attempted: &str, error: GoogleError) -> Error {
    let kind = class(&error);
    let text = format!("{attempted}: {}", why(kind));
    Error::new(kind, PROVIDER, resource, text).with_source(error)
}

/// A kind of failure in words.
pub(super) fn why(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "Google does not have it; create it, or let it be provisioned",
        ErrorKind::PermissionDenied => {
            "Google refused; give the service account of this program a role on it that allows this"
        }
        ErrorKind::Unavailable => "Google did not answer in time",
        ErrorKind::InvalidArgument => "Google takes no such request",
        ErrorKind::PreconditionFailed => "Google says that its state does not allow this",
        _ => "it failed",
    }
}

/// A message that was not published.
pub(super) fn not_published(resource: &str, error: PublishError) -> Error {
    let kind = match &error {
        PublishError::Rpc(error) => class(error),
        _ => ErrorKind::Unavailable,
    };
    let text = match &error {
        PublishError::Rpc(_) => format!("publish a message: {}", why(kind)),
        PublishError::OrderingKeyPaused => {
            "publish a message: an earlier one of its key failed; publish it again after that one"
                .to_owned()
        }
        _ => "publish a message: the broker is closed".to_owned(),
    };
    Error::new(kind, PROVIDER, resource, text).with_source(error)
}

/// An acknowledgement that was not confirmed.
pub(super) fn not_acknowledged(resource: &str, error: AckError) -> Error {
    let (kind, text) = match &error {
        AckError::LeaseExpired => (
            ErrorKind::PreconditionFailed,
            "acknowledge: Google had ended the lease; the message is delivered again",
        ),
        AckError::Rpc { source, .. } if class(source) != ErrorKind::Unavailable => (
            class(source),
            "acknowledge: Google refused; the message is delivered again",
        ),
        _ => (
            ErrorKind::Unavailable,
            "acknowledge: Google did not confirm it; the message may be delivered again",
        ),
    };
    Error::new(kind, PROVIDER, resource, text).with_source(error)
}

/// An acknowledgement that Google did not answer.
pub(super) fn not_confirmed(resource: &str) -> Error {
    let text = "acknowledge: Google did not confirm it in time; the message may be delivered again";
    Error::new(ErrorKind::Unavailable, PROVIDER, resource, text)
}
