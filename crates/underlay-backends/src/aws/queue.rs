//! One queue: the calls of SQS that we make, with messages read and failures told apart.
//!
//! Knows no lease, no waiter and no dead letter.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_sqs::{
    Client, Config,
    config::timeout::TimeoutConfig,
    types::{
        BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry,
        DeleteMessageBatchRequestEntry, Message as SqsMessage, MessageAttributeValue,
        MessageSystemAttributeName as Given,
    },
};
use futures_util::future::join_all;

use crate::{
    Error, ErrorKind,
    aws::{
        PROVIDER,
        broker::ANSWER,
        error::Failure,
        message::{self, Incoming, Outgoing},
    },
};

/// How many messages SQS takes or gives at once.
pub(super) const BATCH: usize = 10;
/// For how long SQS hides a message at most.
pub(super) const MAX_HIDDEN: Duration = Duration::from_secs(12 * 3600);

/// A queue and who we are to it.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    pub(super) client: Client,
    pub(super) url: String,
    /// What it is called in errors.
    pub(super) resource: String,
    pub(super) is_fifo: bool,
}

/// One delivery of a message.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) receipt: String,
    /// SQS's id, which it has in this queue only.
    pub(super) sqs_id: String,
    /// How often SQS has delivered it.
    pub(super) receives: u32,
    /// When SQS got it, and when it first delivered it, in milliseconds since 1970.
    pub(super) sent: u64,
    first: u64,
    pub(super) incoming: Incoming,
}

impl Delivery {
    fn read(message: SqsMessage) -> Option<Self> {
        let receipt = message.receipt_handle?;
        let sqs_id = message.message_id.unwrap_or_default();
        let given = message.attributes.unwrap_or_default();
        let number = |name: Given| given.get(&name).and_then(|it| it.parse::<u64>().ok());
        let attributes: BTreeMap<String, String> = message
            .message_attributes
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.string_value?)))
            .collect();
        let group = given.get(&Given::MessageGroupId).map(String::as_str);
        let text = message.body.unwrap_or_default();
        let incoming = Incoming::read(text, attributes, &sqs_id, group);
        let sent = number(Given::SentTimestamp).unwrap_or_default();
        let receives = number(Given::ApproximateReceiveCount).and_then(|it| it.try_into().ok());
        Some(Self {
            receipt,
            sqs_id,
            receives: receives.unwrap_or(1),
            sent,
            first: number(Given::ApproximateFirstReceiveTimestamp).unwrap_or(sent),
            incoming,
        })
    }

    /// Which delivery a handler sees.
    pub(super) fn attempt(&self) -> u32 {
        self.incoming.attempt(self.receives, self.first)
    }

    /// When the message was published, in milliseconds since 1970.
    pub(super) fn published(&self) -> u64 {
        self.incoming.head.published.unwrap_or(self.sent)
    }
}

/// Whole seconds, rounded up.
pub(super) fn seconds(time: Duration) -> i32 {
    let seconds = time
        .as_secs()
        .saturating_add(u64::from(time.subsec_nanos() > 0));
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

impl Queue {
    /// At most ten messages, hidden from others for a time; waits at most `wait` for the first.
    pub(super) async fn receive(
        &self,
        max: usize,
        wait: Duration,
        hidden: Duration,
    ) -> Result<Vec<Delivery>, Failure> {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(wait + ANSWER)
            .operation_timeout((wait + ANSWER) * 2)
            .build();
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(i32::try_from(max.min(BATCH)).unwrap_or(1))
            .wait_time_seconds(seconds(wait))
            .visibility_timeout(seconds(hidden))
            .message_attribute_names("All")
            .message_system_attribute_names(Given::All)
            .customize()
            .config_override(Config::builder().timeout_config(timeouts))
            .send()
            .await?;
        let messages = answer.messages.unwrap_or_default().into_iter();
        Ok(messages.filter_map(Delivery::read).collect())
    }

    /// Puts a message into the queue. In a FIFO queue it is in a group, and stored once under its number.
    pub(super) async fn send(
        &self,
        outgoing: Outgoing,
        group: &str,
        once: &str,
    ) -> Result<(), Failure> {
        let attributes = outgoing.attributes.into_iter().map(|(name, value)| {
            let value = MessageAttributeValue::builder()
                .data_type(message::STRING)
                .string_value(value);
            (name, value.build().expect("it has a type"))
        });
        let request = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(outgoing.text)
            .set_message_attributes(Some(attributes.collect()));
        let request = if self.is_fifo {
            request
                .message_group_id(group)
                .message_deduplication_id(once)
        } else {
            request
        };
        request.send().await?;
        Ok(())
    }

    /// Hides a delivered message for a time from now.
    pub(super) async fn hide(&self, receipt: &str, hidden: Duration) -> Result<(), Failure> {
        self.client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt)
            .visibility_timeout(seconds(hidden))
            .send()
            .await?;
        Ok(())
    }

    /// Hides each of several messages for a time of its own; says of each whether that was done.
    pub(super) async fn hide_all(&self, messages: &[(&str, Duration)]) -> Vec<bool> {
        let batches = messages.chunks(BATCH).map(|batch| async move {
            let entries = batch.iter().enumerate().map(|(index, (receipt, hidden))| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(*receipt)
                    .visibility_timeout(seconds(*hidden))
                    .build()
                    .expect("it has an id and a receipt")
            });
            let answer = self
                .client
                .change_message_visibility_batch()
                .queue_url(&self.url)
                .set_entries(Some(entries.collect()))
                .send()
                .await;
            let mut done = vec![answer.is_ok(); batch.len()];
            for failed in answer.iter().flat_map(|it| it.failed()) {
                if let Some(done) = failed
                    .id()
                    .parse()
                    .ok()
                    .and_then(|it: usize| done.get_mut(it))
                {
                    *done = false;
                }
            }
            done
        });
        join_all(batches).await.concat()
    }

    /// Removes at most ten delivered messages; a result for each.
    pub(super) async fn delete(&self, receipts: &[&str]) -> Vec<Result<(), Failure>> {
        let entries = receipts.iter().enumerate().map(|(index, receipt)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .receipt_handle(*receipt)
                .build()
                .expect("it has an id and a receipt")
        });
        let answer = self
            .client
            .delete_message_batch()
            .queue_url(&self.url)
            .set_entries(Some(entries.collect()))
            .send()
            .await;
        match answer {
            Ok(answer) => outcomes(receipts.len(), answer.failed()),
            Err(error) => vec![Err(error.into()); receipts.len()],
        }
    }

    /// A failure of a call on this queue; the text says what was attempted.
    pub(super) fn failed(&self, failure: Failure, attempted: &'static str) -> Error {
        let why = match failure.kind {
            ErrorKind::NotFound => "the queue does not exist",
            ErrorKind::PermissionDenied => "the credentials do not allow it",
            ErrorKind::Unavailable => "SQS did not answer, or asks to try again later",
            _ => "SQS refused it",
        };
        failure.into_error(&self.resource, format!("{attempted}: {why}"))
    }

    pub(super) fn error(&self, kind: ErrorKind, text: &'static str) -> Error {
        Error::new(kind, PROVIDER, &self.resource, text)
    }
}

/// A result for each entry of a batch, whose ids are their places.
fn outcomes(count: usize, failed: &[BatchResultErrorEntry]) -> Vec<Result<(), Failure>> {
    let mut outcomes = vec![Ok(()); count];
    for entry in failed {
        if let Some(outcome) = entry
            .id()
            .parse()
            .ok()
            .and_then(|it: usize| outcomes.get_mut(it))
        {
            let failure = Failure::of_entry(entry.code(), entry.message(), entry.sender_fault());
            *outcome = Err(failure);
        }
    }
    outcomes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_up() {
        for (millis, expected) in [(0, 0), (1, 1), (1000, 1), (1500, 2)] {
            assert_eq!(seconds(Duration::from_millis(millis)), expected);
        }
        assert_eq!(seconds(Duration::MAX), i32::MAX);
    }

    #[test]
    fn a_part_of_a_batch_fails() {
        let failed = BatchResultErrorEntry::builder()
            .id("1")
            .code("InternalError")
            .sender_fault(false)
            .build()
            .expect("an entry");
        let outcomes = outcomes(3, &[failed]);
        assert!(outcomes[0].is_ok() && outcomes[2].is_ok());
        let failure = outcomes[1].as_ref().expect_err("it failed");
        assert_eq!(failure.kind, ErrorKind::Unavailable);
    }
}
