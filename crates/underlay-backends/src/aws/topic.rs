//! The publishing side: a message is published when SNS has it.

use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;
use aws_sdk_sns::{
    Client,
    types::{MessageAttributeValue, PublishBatchRequestEntry},
};
use futures_util::{StreamExt as _, stream};

use crate::{
    Error, ErrorKind, Result,
    aws::{
        PROVIDER,
        error::Failure,
        message::{self, DEFAULT_LIMIT, Outgoing, RESERVED},
        queue::BATCH,
    },
    id,
    tasks::Tasks,
    topic::{Message, Topic, TopicOptions},
};

/// How many batches are on their way at once, where order does not matter.
const PARALLEL: usize = 8;

pub(super) struct SnsTopic {
    pub(super) client: Client,
    pub(super) arn: String,
    pub(super) is_fifo: bool,
    pub(super) options: TopicOptions,
    /// The largest message that SNS takes.
    pub(super) limit: usize,
    pub(super) tasks: Arc<Tasks>,
}

/// A message with its group, where there are groups.
struct Addressed {
    outgoing: Outgoing,
    group: Option<String>,
}

/// What became of a part of a batch: the number of messages that were not published, and why the first was not.
type Unpublished = Option<(usize, Failure)>;

impl SnsTopic {
    fn error(&self, kind: ErrorKind, text: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        Error::new(kind, PROVIDER, &self.arn, text)
    }

    /// The messages as they are sent; nothing is, if one of them cannot be.
    fn addressed(&self, messages: &[Message]) -> Result<Vec<Addressed>> {
        let limit = self.limit - RESERVED;
        let now = SystemTime::now();
        let address = |message: &Message| {
            if message.delay.is_some_and(|it| it > message::MAX_DELAY) {
                let text = "publish a message: it can be delayed for at most four days, as long as SQS keeps it in any case";
                return Err(self.error(ErrorKind::InvalidArgument, text));
            }
            let fresh = || id::text(id::fresh(now));
            let id = message.id.map_or_else(fresh, |it| it.to_string());
            let outgoing = Outgoing::published(id, message, now);
            if outgoing.own_size > limit {
                let text = format!(
                    "publish a message of {} bytes: at most {limit} are possible, of the body (as base64, unless it is text) \
                     with its attributes and its ordering key",
                    outgoing.own_size
                );
                return Err(self.error(ErrorKind::TooLarge, text));
            }
            let key = message
                .ordering_key
                .as_deref()
                .filter(|_| self.options.ordered);
            let group = key.map_or_else(|| outgoing.id.clone(), message::group);
            Ok(Addressed {
                group: self.is_fifo.then_some(group),
                outgoing,
            })
        };
        messages.iter().map(address).collect()
    }

    async fn send_one(&self, message: Addressed) -> Unpublished {
        let Addressed { outgoing, group } = message;
        let once = group.as_ref().map(|_| outgoing.id.clone());
        let mut request = self
            .client
            .publish()
            .topic_arn(&self.arn)
            .message(outgoing.text);
        for (name, value) in outgoing.attributes {
            request = request.message_attributes(name, attribute(value));
        }
        let sent = request
            .set_message_group_id(group)
            .set_message_deduplication_id(once)
            .send()
            .await;
        sent.err().map(|error| (1, error.into()))
    }

    async fn send_batch(&self, batch: Vec<Addressed>) -> Unpublished {
        let count = batch.len();
        let mut request = self.client.publish_batch().topic_arn(&self.arn);
        for (index, Addressed { outgoing, group }) in batch.into_iter().enumerate() {
            let mut entry = PublishBatchRequestEntry::builder()
                .id(index.to_string())
                .message(outgoing.text)
                .set_message_deduplication_id(group.as_ref().map(|_| outgoing.id))
                .set_message_group_id(group);
            for (name, value) in outgoing.attributes {
                entry = entry.message_attributes(name, attribute(value));
            }
            let entry = entry.build().expect("it has an id");
            request = request.publish_batch_request_entries(entry);
        }
        match request.send().await {
            Err(error) => Some((count, error.into())),
            Ok(answer) => {
                let first = answer.failed().first()?;
                let failure =
                    Failure::of_entry(first.code(), first.message(), first.sender_fault());
                Some((answer.failed().len(), failure))
            }
        }
    }

    async fn send(&self, mut batch: Vec<Addressed>) -> Unpublished {
        match (batch.pop(), batch.is_empty()) {
            (Some(only), true) => self.send_one(only).await,
            (Some(last), false) => {
                batch.push(last);
                self.send_batch(batch).await
            }
            (None, _) => None,
        }
    }

    /// Sends all batches. What must keep its order goes one after the other, up to the first that fails.
    async fn send_all(&self, batches: Vec<Vec<Addressed>>) -> Unpublished {
        if !self.is_fifo {
            let sent = stream::iter(batches).map(|batch| self.send(batch));
            let failed = sent.buffer_unordered(PARALLEL).filter_map(async |it| it);
            let add = |sum: Unpublished, (count, failure)| async move {
                Some(sum.map_or((count, failure), |(sum, first)| (sum + count, first)))
            };
            return failed.fold(None, add).await;
        }
        let mut batches = batches.into_iter();
        while let Some(batch) = batches.next() {
            if let Some((count, failure)) = self.send(batch).await {
                let rest: usize = batches.map(|it| it.len()).sum();
                return Some((count + rest, failure));
            }
        }
        None
    }
}

fn attribute(value: String) -> MessageAttributeValue {
    let value = MessageAttributeValue::builder()
        .data_type(message::STRING)
        .string_value(value);
    value.build().expect("it has a type")
}

/// Parts messages as SNS takes them: at most ten, and at most so many bytes together.
fn batches(messages: Vec<Addressed>, limit: usize) -> Vec<Vec<Addressed>> {
    let mut batches: Vec<Vec<Addressed>> = Vec::new();
    let mut size = 0;
    for message in messages {
        match batches.last_mut() {
            Some(batch) if batch.len() < BATCH && size + message.outgoing.size <= limit => {
                size += message.outgoing.size;
                batch.push(message);
            }
            _ => {
                size = message.outgoing.size;
                batches.push(vec![message]);
            }
        }
    }
    batches
}

#[async_trait]
impl Topic for SnsTopic {
    async fn publish(&self, message: Message) -> Result<String> {
        let mut ids = self.publish_batch(vec![message]).await?;
        ids.pop()
            .ok_or_else(|| self.error(ErrorKind::Other, "publishing one message gave no id"))
    }

    async fn publish_batch(&self, messages: Vec<Message>) -> Result<Vec<String>> {
        if self.tasks.is_closed() {
            let text = "publish a message: the broker is closed";
            return Err(self.error(ErrorKind::Unavailable, text));
        }
        let messages = self.addressed(&messages)?;
        let ids: Vec<String> = messages.iter().map(|it| it.outgoing.id.clone()).collect();
        let Some((count, failure)) = self.send_all(batches(messages, DEFAULT_LIMIT)).await else {
            return Ok(ids);
        };
        let why = match failure.kind {
            ErrorKind::NotFound => "the topic does not exist",
            ErrorKind::PermissionDenied => "the credentials do not allow it",
            ErrorKind::Unavailable => "SNS did not answer, or asks to try again later",
            _ => "SNS refused it",
        };
        let text = match ids.len() {
            1 => format!("publish a message: {why}"),
            all => format!("publish {all} messages: {count} of them were not published: {why}"),
        };
        Err(failure.into_error(&self.arn, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_of_ten_and_of_a_size() {
        let message = |size: usize| Addressed {
            outgoing: Outgoing {
                id: String::new(),
                text: String::new(),
                attributes: Vec::new(),
                size,
                own_size: size,
            },
            group: None,
        };
        let sizes = |sizes: &[usize]| -> Vec<usize> {
            let messages = sizes.iter().map(|size| message(*size)).collect();
            batches(messages, 100).iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(&[]), [0; 0]);
        assert_eq!(sizes(&[1; 25]), [10, 10, 5]);
        assert_eq!(sizes(&[60, 40, 1, 100, 200, 5, 5]), [2, 1, 1, 1, 2]);
    }
}
