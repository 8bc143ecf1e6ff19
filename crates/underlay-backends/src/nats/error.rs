//! What the client's many errors mean, in this crate's kinds.
//!
//! The texts are ours: the client's are kept as sources.

use async_nats::{
    client::{PublishErrorKind as SendErrorKind, RequestErrorKind},
    jetstream::{
        self,
        context::{
            ConsumerInfoErrorKind, CreateStreamErrorKind, GetStreamErrorKind, PublishErrorKind,
        },
        stream::{ConsumerErrorKind, DeleteMessageErrorKind, RawMessageErrorKind},
    },
};

use crate::ErrorKind;

/// An error of the client that says what kind of failure it is.
pub(super) trait Classified: std::error::Error + Send + Sync + 'static {
    fn class(&self) -> ErrorKind;
}

/// The kind of what JetStream itself refused.
fn of_server(error: &jetstream::Error) -> ErrorKind {
    use jetstream::ErrorCode as Code;
    match error.error_code() {
        Code::STREAM_NOT_FOUND | Code::CONSUMER_NOT_FOUND | Code::NO_MESSAGE_FOUND => {
            ErrorKind::NotFound
        }
        Code::STREAM_NAME_EXIST | Code::CONSUMER_NAME_EXIST | Code::STREAM_SUBJECT_OVERLAP => {
            ErrorKind::PreconditionFailed
        }
        Code::STREAM_MESSAGE_EXCEEDS_MAXIMUM | Code::STREAM_HEADER_EXCEEDS_MAXIMUM => {
            ErrorKind::TooLarge
        }
        Code::STREAM_STORE_FAILED
        | Code::ACCOUNT_RESOURCES_EXCEEDED
        | Code::MEMORY_RESOURCES_EXCEEDED
        | Code::STORAGE_RESOURCES_EXCEEDED
        | Code::INSUFFICIENT_RESOURCES => ErrorKind::Full,
        Code::JETSTREAM_NOT_ENABLED | Code::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
            ErrorKind::PermissionDenied
        }
        _ if error.code() >= 500 => ErrorKind::Unavailable,
        _ => ErrorKind::Other,
    }
}

macro_rules! classified {
    ($($error:ty { $($kind:pat => $class:expr,)* })*) => {$(
        impl Classified for $error {
            fn class(&self) -> ErrorKind {
                match self.kind() {
                    $($kind => $class,)*
                    #[allow(unreachable_patterns, reason = "some list all of their kinds")]
                    _ => ErrorKind::Other,
                }
            }
        }
    )*};
}

classified! {
    async_nats::ConnectError {
        async_nats::ConnectErrorKind::Authentication
        | async_nats::ConnectErrorKind::AuthorizationViolation => ErrorKind::PermissionDenied,
        async_nats::ConnectErrorKind::ServerParse => ErrorKind::InvalidArgument,
        async_nats::ConnectErrorKind::Dns
        | async_nats::ConnectErrorKind::TimedOut
        | async_nats::ConnectErrorKind::MaxReconnects
        | async_nats::ConnectErrorKind::Io => ErrorKind::Unavailable,
    }
    async_nats::PublishError {
        SendErrorKind::MaxPayloadExceeded => ErrorKind::TooLarge,
        SendErrorKind::Send => ErrorKind::Unavailable,
    }
    async_nats::RequestError {
        RequestErrorKind::NoResponders => ErrorKind::NotFound,
        RequestErrorKind::TimedOut | RequestErrorKind::Other => ErrorKind::Unavailable,
    }
    jetstream::context::GetStreamError {
        GetStreamErrorKind::Request => ErrorKind::Unavailable,
        GetStreamErrorKind::JetStream(error) => of_server(&error),
    }
    jetstream::context::CreateStreamError {
        CreateStreamErrorKind::TimedOut | CreateStreamErrorKind::JetStreamUnavailable => {
            ErrorKind::Unavailable
        },
        CreateStreamErrorKind::JetStream(error) => of_server(&error),
    }
    jetstream::context::ConsumerInfoError {
        ConsumerInfoErrorKind::NotFound | ConsumerInfoErrorKind::StreamNotFound => {
            ErrorKind::NotFound
        },
        ConsumerInfoErrorKind::Request
        | ConsumerInfoErrorKind::Offline
        | ConsumerInfoErrorKind::TimedOut
        | ConsumerInfoErrorKind::NoResponders => ErrorKind::Unavailable,
        ConsumerInfoErrorKind::JetStream(error) => of_server(&error),
    }
    jetstream::stream::ConsumerError {
        ConsumerErrorKind::TimedOut | ConsumerErrorKind::Request => ErrorKind::Unavailable,
        ConsumerErrorKind::JetStream(error) => of_server(&error),
    }
    jetstream::stream::DeleteMessageError {
        DeleteMessageErrorKind::TimedOut | DeleteMessageErrorKind::Request => {
            ErrorKind::Unavailable
        },
        DeleteMessageErrorKind::JetStream(error) => of_server(&error),
    }
    jetstream::stream::RawMessageError {
        RawMessageErrorKind::NoMessageFound => ErrorKind::NotFound,
        RawMessageErrorKind::JetStream(error) => of_server(&error),
        RawMessageErrorKind::Other => ErrorKind::Unavailable,
    }
}

impl Classified for jetstream::context::PublishError {
    fn class(&self) -> ErrorKind {
        match self.kind() {
            PublishErrorKind::StreamNotFound => ErrorKind::NotFound,
            PublishErrorKind::WrongLastSequence => ErrorKind::PreconditionFailed,
            PublishErrorKind::MaxPayloadExceeded => ErrorKind::TooLarge,
            PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe => ErrorKind::Unavailable,
            _ => {
                let source = std::error::Error::source(self);
                let refused = source.and_then(|source| source.downcast_ref());
                refused.map_or(ErrorKind::Other, of_server)
            }
        }
    }
}
