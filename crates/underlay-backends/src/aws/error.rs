//! What the SDK's errors mean: their kind, and a text of what the service said.
//!
//! The SDK's own errors are not kept as causes: their debug text holds whole answers.

use std::{borrow::Cow, fmt::Debug};

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};

use crate::{Error, ErrorKind, aws::PROVIDER, error::chain};

/// A failed call, which may be several callers' failure.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) kind: ErrorKind,
    /// The service's code of the failure; empty when it did not answer.
    code: String,
    /// What the service said.
    said: String,
}

impl Failure {
    /// What a service said of one entry of a batch.
    pub(super) fn of_entry(code: &str, message: Option<&str>, sender_fault: bool) -> Self {
        let kind = match kind(code) {
            ErrorKind::Other if !sender_fault => ErrorKind::Unavailable,
            kind => kind,
        };
        Self {
            kind,
            code: code.to_owned(),
            said: format!("{code}: {}", message.unwrap_or("no reason given")),
        }
    }

    /// Whether the delivery has ended: its lease did, or the message is gone.
    pub(super) fn is_stale(&self) -> bool {
        let code = self.code.rsplit('.').next().unwrap_or_default();
        match code {
            "MessageNotInflight" => true,
            "ReceiptHandleIsInvalid" | "InvalidParameterValue" => {
                let said = self.said.to_lowercase();
                // SQS says so of a receipt whose lease has ended, and, in other words, of a message that is gone.
                said.contains("expired") || said.contains("does not exist")
            }
            _ => false,
        }
    }

    /// Whether the credentials are good, and do not allow this.
    pub(super) fn is_denied(&self) -> bool {
        ["AccessDenied", "AuthorizationError"]
            .iter()
            .any(|it| self.code.contains(it))
    }

    /// As an error of a resource; the text says what was attempted.
    pub(super) fn into_error(
        self,
        resource: &str,
        attempted: impl Into<Cow<'static, str>>,
    ) -> Error {
        Error::new(self.kind, PROVIDER, resource, attempted).with_source(self.said)
    }
}

impl<E, R> From<SdkError<E, R>> for Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: Debug,
{
    fn from(error: SdkError<E, R>) -> Self {
        if let SdkError::ServiceError(answer) = &error {
            let answer = answer.err();
            let code = answer.code().unwrap_or("no code");
            return Self {
                kind: kind(code),
                code: code.to_owned(),
                said: format!("{code}: {}", answer.message().unwrap_or("no reason given")),
            };
        }
        let (kind, said) = match &error {
            SdkError::ConstructionFailure(_) => (ErrorKind::InvalidArgument, chain(&error)),
            SdkError::TimeoutError(_) => (
                ErrorKind::Unavailable,
                "the service did not answer in time".to_owned(),
            ),
            SdkError::DispatchFailure(failure) if failure.is_user() => {
                (ErrorKind::InvalidArgument, chain(&error))
            }
            SdkError::DispatchFailure(_) => (ErrorKind::Unavailable, chain(&error)),
            // Not its text, in which there may be a part of the answer.
            _ => (
                ErrorKind::Unavailable,
                "the service's answer could not be read".to_owned(),
            ),
        };
        Self {
            kind,
            code: String::new(),
            said,
        }
    }
}

/// What a service's code means. SQS has old and new ones: `AWS.SimpleQueueService.NonExistentQueue`, `QueueDoesNotExist`.
fn kind(code: &str) -> ErrorKind {
    let code = code.rsplit('.').next().unwrap_or_default();
    let code = code.strip_suffix("Exception").unwrap_or(code);
    match code {
        "NotFound" | "NonExistentQueue" | "QueueDoesNotExist" | "ResourceNotFound" => {
            ErrorKind::NotFound
        }
        "AccessDenied"
        | "AuthorizationError"
        | "ExpiredToken"
        | "IncompleteSignature"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "InvalidSecurity"
        | "KMSAccessDenied"
        | "KmsAccessDenied"
        | "MissingAuthenticationToken"
        | "NotAuthorized"
        | "OptInRequired"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClient" => ErrorKind::PermissionDenied,
        "InternalError"
        | "InternalFailure"
        | "KMSThrottling"
        | "KmsThrottled"
        | "OverLimit"
        | "QueueDeletedRecently"
        | "RequestThrottled"
        | "ServiceUnavailable"
        | "Throttled"
        | "Throttling"
        | "ThrottlingException"
        | "TooManyRequests" => ErrorKind::Unavailable,
        "BatchRequestTooLong" | "RequestEntityTooLarge" => ErrorKind::TooLarge,
        "QueueNameExists" => ErrorKind::PreconditionFailed,
        "InvalidParameter"
        | "InvalidParameterValue"
        | "InvalidAttributeName"
        | "InvalidAttributeValue"
        | "InvalidAddress"
        | "InvalidMessageContents"
        | "MissingParameter"
        | "ReceiptHandleIsInvalid"
        | "ValidationError" => ErrorKind::InvalidArgument,
        _ => ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        for (code, expected) in [
            (
                "AWS.SimpleQueueService.NonExistentQueue",
                ErrorKind::NotFound,
            ),
            ("QueueDoesNotExist", ErrorKind::NotFound),
            ("NotFoundException", ErrorKind::NotFound),
            ("AuthorizationErrorException", ErrorKind::PermissionDenied),
            ("AccessDenied", ErrorKind::PermissionDenied),
            ("ThrottledException", ErrorKind::Unavailable),
            ("InvalidParameterValueException", ErrorKind::InvalidArgument),
            ("", ErrorKind::Other),
        ] {
            assert_eq!(kind(code), expected, "{code}");
        }
    }

    #[test]
    fn entries_of_a_batch() {
        let theirs = Failure::of_entry("Unheard", None, false);
        let ours = Failure::of_entry("Unheard", None, true);
        assert_eq!(
            (theirs.kind, ours.kind),
            (ErrorKind::Unavailable, ErrorKind::Other)
        );
        let error = ours.into_error("queue", "publish a message");
        assert_eq!(
            chain(&error),
            "publish a message (aws_sns_sqs `queue`): Unheard: no reason given"
        );
    }

    #[test]
    fn stale_receipts() {
        let expired = "Value x for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.";
        assert!(Failure::of_entry("InvalidParameterValue", Some(expired), true).is_stale());
        assert!(
            Failure::of_entry("AWS.SimpleQueueService.MessageNotInflight", None, true).is_stale()
        );
        let malformed = "The input receipt handle \"x\" is not a valid receipt handle.";
        assert!(!Failure::of_entry("ReceiptHandleIsInvalid", Some(malformed), true).is_stale());
    }
}
