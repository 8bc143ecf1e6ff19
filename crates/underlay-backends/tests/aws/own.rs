//! What only SNS and SQS can get wrong.

#[path = "own/messages.rs"]
mod messages;
#[path = "own/provisioning.rs"]
mod provisioning;
#[path = "own/receiving.rs"]
mod receiving;

use std::{pin::Pin, sync::Arc, time::Duration};

use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use bytes::Bytes;
use underlay_backends::{
    ErrorKind,
    aws::Broker,
    topic::{
        Broker as _, Message, Received, Subscription, SubscriptionOptions, Topic, TopicOptions,
    },
};

use crate::emulator::{self, Emulator};

type Test = fn(Arc<Emulator>) -> Pin<Box<dyn Future<Output = ()>>>;

macro_rules! tests {
    ($($module:ident: $($name:ident)*;)*) => {
        &[$($((stringify!($name), |emulator| Box::pin($module::$name(emulator)))),*),*]
    };
}

/// All tests, by name.
pub(crate) const TESTS: &[(&str, Test)] = tests! {
    messages: every_text envelopes foreign_messages large_batches too_large_for_a_batch part_of_a_batch delayed_in_order;
    provisioning: names_and_fifo missing_things provisioned_once broker_filters deleted_queue;
    receiving: moved_by_sqs stale_receipts many_of_one_key dead_letters_of_one_key largest_dead_letter acknowledged_together cancelled_receives unreachable restarted closing;
};

/// Ends in no test by itself.
const LONG: Duration = Duration::from_secs(600);
/// Shorter than a test's patience.
const SHORT: Duration = Duration::from_secs(1);

const ORDERED: TopicOptions = TopicOptions {
    ordered: true,
    exactly_once: false,
    retention: None,
};

/// A topic with one subscription.
struct Fresh {
    broker: Broker,
    arn: String,
    url: String,
    topic: Arc<dyn Topic>,
    subscription: Arc<dyn Subscription>,
}

async fn fresh_with(
    emulator: &Emulator,
    options: TopicOptions,
    subscription: SubscriptionOptions,
) -> Fresh {
    let broker = emulator.broker(true).await;
    let is_fifo = options.ordered || options.exactly_once;
    let (arn, url) = (emulator.fresh_topic(is_fifo), emulator.fresh_queue(is_fifo));
    let topic = broker.topic(&arn, options).await.unwrap();
    let subscription = broker.subscription(&arn, &url, subscription).await.unwrap();
    Fresh {
        broker,
        arn,
        url,
        topic,
        subscription,
    }
}

async fn fresh(emulator: &Emulator) -> Fresh {
    fresh_with(
        emulator,
        TopicOptions::default(),
        SubscriptionOptions::default(),
    )
    .await
}

fn sqs(emulator: &Emulator) -> aws_sdk_sqs::Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&emulator.endpoint)
        .region(Region::new(emulator::REGION))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"));
    aws_sdk_sqs::Client::from_conf(config.build())
}

fn sns(emulator: &Emulator) -> aws_sdk_sns::Client {
    let config = aws_sdk_sns::Config::builder()
        .behavior_version(aws_sdk_sns::config::BehaviorVersion::latest())
        .endpoint_url(&emulator.endpoint)
        .region(aws_sdk_sns::config::Region::new(emulator::REGION))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"));
    aws_sdk_sns::Client::from_conf(config.build())
}

fn message(body: &str) -> Message {
    Message {
        body: Bytes::copy_from_slice(body.as_bytes()),
        ..Message::default()
    }
}

fn keyed(key: &str, body: &str) -> Message {
    Message {
        ordering_key: Some(key.to_owned()),
        ..message(body)
    }
}

async fn take_one(subscription: &dyn Subscription) -> Received {
    subscription.receive(1, LONG).await.unwrap().remove(0)
}

async fn take(subscription: &dyn Subscription, count: usize) -> Vec<Received> {
    let mut received = Vec::new();
    while received.len() < count {
        received.extend(
            subscription
                .receive(count - received.len(), LONG)
                .await
                .unwrap(),
        );
    }
    received
}

fn kind_of<T>(result: underlay_backends::Result<T>) -> ErrorKind {
    result.err().expect("an error").kind()
}
