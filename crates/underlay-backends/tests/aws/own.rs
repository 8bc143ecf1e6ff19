//! What only SNS and SQS can get wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    pin::Pin,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use aws_sdk_sqs::{
    config::{BehaviorVersion, Credentials, Region},
    types::QueueAttributeName as Attribute,
};
use bytes::Bytes;
use futures_util::future::{join_all, try_join_all};
use tokio::time::timeout;
use underlay_backends::{
    ErrorKind,
    aws::{self, Broker},
    topic::{
        Broker as _, Message, Received, Subscription, SubscriptionOptions, Topic, TopicOptions,
    },
};
use underlay_model::filter::{Condition, Filter};

use super::{Emulator, emulator};

type Test = fn(Arc<Emulator>) -> Pin<Box<dyn Future<Output = ()>>>;

macro_rules! tests {
    ($($name:ident)*) => {
        &[$((stringify!($name), |emulator| Box::pin($name(emulator)))),*]
    };
}

/// All tests, by name.
pub(crate) const TESTS: &[(&str, Test)] = tests! {
    names_and_fifo missing_things provisioned_once broker_filters every_text envelopes foreign_messages large_batches
    too_large_for_a_batch moved_by_sqs stale_receipts many_of_one_key dead_letters_of_one_key largest_dead_letter
    acknowledged_together cancelled_receives delayed_in_order deleted_queue part_of_a_batch unreachable restarted closing
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

async fn names_and_fifo(emulator: Arc<Emulator>) {
    let broker = emulator.broker(true).await;
    for name in ["", "orders", "arn:aws:sqs:us-east-1:1:orders"] {
        let topic = broker.topic(name, TopicOptions::default()).await;
        assert_eq!(kind_of(topic), ErrorKind::InvalidArgument);
    }
    let standard = emulator.fresh_topic(false);
    for (ordered, exactly_once) in [(true, false), (false, true)] {
        let options = TopicOptions {
            ordered,
            exactly_once,
            retention: None,
        };
        let error = broker.topic(&standard, options).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::PreconditionFailed);
        assert!(error.to_string().contains("`.fifo`"), "{error}");
    }
    broker
        .topic(&standard, TopicOptions::default())
        .await
        .unwrap();
    let options = SubscriptionOptions::default();
    let url = emulator.fresh_queue(true);
    let queue = broker.subscription(&standard, &url, options.clone());
    assert_eq!(kind_of(queue.await), ErrorKind::PreconditionFailed);
    let queue = broker.subscription(&standard, "orders", options);
    assert_eq!(kind_of(queue.await), ErrorKind::InvalidArgument);
    let options = SubscriptionOptions {
        lease: Duration::from_secs(12 * 3600 + 1),
        ..SubscriptionOptions::default()
    };
    let url = emulator.fresh_queue(false);
    let queue = broker.subscription(&standard, &url, options);
    assert_eq!(kind_of(queue.await), ErrorKind::InvalidArgument);
    // Another account's topic is not what would be created.
    let others = standard.replace(|it: char| it.is_ascii_digit(), "9");
    let topic = broker.topic(&others, TopicOptions::default()).await;
    assert!(topic.is_err());
}

async fn missing_things(emulator: Arc<Emulator>) {
    let broker = emulator.broker(false).await;
    let (arn, url) = (emulator.fresh_topic(true), emulator.fresh_queue(true));
    let error = broker.topic(&arn, ORDERED).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        error
            .to_string()
            .contains("`aws sns create-topic --region us-east-1 --name topic-"),
        "{error}"
    );
    let provisioning = emulator.broker(true).await;
    provisioning.topic(&arn, ORDERED).await.unwrap();
    broker.topic(&arn, ORDERED).await.unwrap();
    let options = SubscriptionOptions::default;
    let missing = async |what: &str| {
        let error = broker
            .subscription(&arn, &url, options())
            .await
            .err()
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains(what), "{error}");
    };
    missing("`aws sqs create-queue --region us-east-1 --queue-name queue-").await;
    let name = url.rsplit('/').next().unwrap();
    let dead = name.replace(".fifo", "-dead.fifo");
    for name in [name, &dead] {
        let queue = sqs(&emulator).create_queue().queue_name(name);
        let created = queue.attributes(Attribute::FifoQueue, "true").send();
        created.await.unwrap();
        let next = if name == dead {
            "`aws sns subscribe "
        } else {
            "-dead.fifo --attributes FifoQueue=true`"
        };
        missing(next).await;
    }
    provisioning
        .subscription(&arn, &url, options())
        .await
        .unwrap();
    broker.subscription(&arn, &url, options()).await.unwrap();
}

async fn provisioned_once(emulator: Arc<Emulator>) {
    let filter = Filter(BTreeMap::from([(
        "country".to_owned(),
        Condition::AnyOf(vec!["DE".to_owned()]),
    )]));
    let options = SubscriptionOptions {
        lease: Duration::from_secs(45),
        retention: Some(Duration::from_secs(1)),
        max_deliveries: Some(5),
        filter,
    };
    let exactly_once = TopicOptions {
        exactly_once: true,
        ..ORDERED
    };
    let fresh = fresh_with(&emulator, exactly_once, options.clone()).await;
    let attributes = async |url: &str| {
        let asked = sqs(&emulator).get_queue_attributes().queue_url(url);
        let answer = asked.attribute_names(Attribute::All).send().await.unwrap();
        answer.attributes.unwrap()
    };
    let dead = fresh.url.replace(".fifo", "-dead.fifo");
    let queue = attributes(&fresh.url).await;
    let (queue_arn, dead_arn) = (emulator.queue_arn(&fresh.url), emulator.queue_arn(&dead));
    assert_eq!(
        (
            &*queue[&Attribute::VisibilityTimeout],
            &*queue[&Attribute::MessageRetentionPeriod]
        ),
        ("45", "60")
    );
    assert_eq!(
        (
            &*queue[&Attribute::FifoQueue],
            &*queue[&Attribute::QueueArn]
        ),
        ("true", &*queue_arn)
    );
    assert_eq!(queue[&Attribute::FifoThroughputLimit], "perMessageGroupId");
    let policy: serde_json::Value = serde_json::from_str(&queue[&Attribute::Policy]).unwrap();
    assert_eq!(policy["Statement"][0]["Resource"], *queue_arn);
    assert_eq!(
        policy["Statement"][0]["Condition"]["ArnEquals"]["aws:SourceArn"],
        *fresh.arn
    );
    let redrive: serde_json::Value =
        serde_json::from_str(&queue[&Attribute::RedrivePolicy]).unwrap();
    assert_eq!(redrive["deadLetterTargetArn"], *dead_arn);
    let listed = sns(&emulator)
        .list_subscriptions_by_topic()
        .topic_arn(&fresh.arn)
        .send();
    let listed = listed.await.unwrap().subscriptions.unwrap();
    assert_eq!(listed.len(), 1);
    let arn = listed[0].subscription_arn().unwrap();
    let subscription = sns(&emulator)
        .get_subscription_attributes()
        .subscription_arn(arn)
        .send();
    let subscription = subscription.await.unwrap().attributes.unwrap();
    assert_eq!(subscription["RawMessageDelivery"], "true");
    assert!(subscription["FilterPolicy"].contains("country"));
    // Again, with other wishes: nothing is changed.
    let others = SubscriptionOptions {
        max_deliveries: Some(7),
        ..SubscriptionOptions::default()
    };
    fresh.broker.topic(&fresh.arn, exactly_once).await.unwrap();
    fresh
        .broker
        .subscription(&fresh.arn, &fresh.url, others)
        .await
        .unwrap();
    let stable = |mut all: std::collections::HashMap<Attribute, String>| {
        all.retain(|name, _| !name.as_str().contains("Timestamp"));
        all
    };
    assert_eq!(stable(attributes(&fresh.url).await), stable(queue));
    let listed = sns(&emulator)
        .list_subscriptions_by_topic()
        .topic_arn(&fresh.arn)
        .send();
    assert_eq!(listed.await.unwrap().subscriptions.unwrap().len(), 1);
}

/// SNS itself keeps back what the filter does not want, and nothing else.
async fn broker_filters(emulator: Arc<Emulator>) {
    let filter = Filter(BTreeMap::from([
        (
            "country".to_owned(),
            Condition::AnyOf(vec!["DE".to_owned(), "AT".to_owned()]),
        ),
        (
            "kind".to_owned(),
            Condition::NoneOf(vec!["test".to_owned()]),
        ),
        ("sku".to_owned(), Condition::Prefix("A-".to_owned())),
    ]));
    let options = SubscriptionOptions {
        filter: filter.clone(),
        ..SubscriptionOptions::default()
    };
    let fresh = fresh_with(&emulator, TopicOptions::default(), options).await;
    let attributes = |country: &str, kind: &str, sku: &str| {
        BTreeMap::from(
            [("country", country), ("kind", kind), ("sku", sku)]
                .map(|(a, b)| (a.to_owned(), b.to_owned())),
        )
    };
    let mut packed = attributes("DE", "order", "A-2");
    packed.insert("empty".to_owned(), String::new());
    for (body, attributes) in [
        ("another country", attributes("FR", "order", "A-1")),
        ("a test", attributes("DE", "test", "A-1")),
        ("another sku", attributes("DE", "order", "B-1")),
        ("nothing", BTreeMap::new()),
        ("wanted", attributes("AT", "order", "A-1")),
        ("packed", packed),
    ] {
        let message = Message {
            attributes,
            ..message(body)
        };
        fresh.topic.publish(message).await.unwrap();
    }
    let received = take(&*fresh.subscription, 2).await;
    assert!(
        received
            .iter()
            .all(|it| filter.matches(&it.message.attributes))
    );
    let nothing = timeout(SHORT, fresh.subscription.receive(10, LONG)).await;
    assert!(nothing.is_err(), "{nothing:?}");
}

async fn every_text(emulator: Arc<Emulator>) {
    let fresh = fresh_with(&emulator, ORDERED, SubscriptionOptions::default()).await;
    let texts = [
        "",
        " ",
        " a  b ",
        "a&b=c+d%20",
        "<a>&amp;</a>",
        "gr\u{fc}n\r\n\ttext",
        "\0\u{7f}\u{85}",
        "\u{fffe}\u{ffff}",
        "\"'\\",
        "=",
        "{\"Type\":\"Notification\",\"MessageId\":\"1\",\"TopicArn\":\"a\",\"Message\":\"b\"}",
        "\u{1f600}",
    ];
    for text in texts {
        let mut attributes = BTreeMap::from([("plain".to_owned(), "plain".to_owned())]);
        attributes.insert(text.chars().take(20).collect(), text.to_owned());
        let message = Message {
            attributes,
            ordering_key: Some(text.to_owned()),
            ..message(text)
        };
        let id = fresh.topic.publish(message.clone()).await.unwrap();
        let received = take_one(&*fresh.subscription).await;
        assert_eq!((&received.id, &received.message), (&id, &message));
        let reason = format!("because of {text}");
        let buried = fresh.subscription.dead_letter(&received.receipt, &reason);
        buried.await.unwrap();
        let letters = fresh.subscription.dead_letters(10).await.unwrap();
        assert_eq!(
            (&letters[0].reason, &letters[0].message),
            (&reason, &message)
        );
        assert!(fresh.subscription.discard(&id).await.unwrap());
    }
    let names = (0..20)
        .map(|it| (format!("name-{it}"), it.to_string()))
        .collect();
    let many = Message {
        attributes: names,
        ..keyed("key", "many")
    };
    fresh.topic.publish(many.clone()).await.unwrap();
    assert_eq!(take_one(&*fresh.subscription).await.message, many);
}

/// A subscription that somebody made without raw delivery.
async fn envelopes(emulator: Arc<Emulator>) {
    let broker = emulator.broker(true).await;
    let (arn, url) = (emulator.fresh_topic(false), emulator.fresh_queue(false));
    let topic = broker.topic(&arn, TopicOptions::default()).await.unwrap();
    let name = url.rsplit('/').next().unwrap();
    sqs(&emulator)
        .create_queue()
        .queue_name(name)
        .send()
        .await
        .unwrap();
    let subscribe = sns(&emulator).subscribe().topic_arn(&arn).protocol("sqs");
    subscribe
        .endpoint(emulator.queue_arn(&url))
        .send()
        .await
        .unwrap();
    let subscription = broker.subscription(&arn, &url, SubscriptionOptions::default());
    let subscription = subscription.await.unwrap();
    let attributes = BTreeMap::from([("kind".to_owned(), "gr\u{fc}n".to_owned())]);
    for body in [
        Bytes::from_static(b"{\"a\":1}"),
        Bytes::new(),
        Bytes::from_static(b"\0\xff"),
    ] {
        let message = Message {
            body,
            attributes: attributes.clone(),
            ..keyed("key", "")
        };
        let id = topic.publish(message.clone()).await.unwrap();
        let received = take_one(&*subscription).await;
        assert_eq!((received.id, &received.message), (id, &message));
        let buried = subscription.dead_letter(&received.receipt, "bad");
        buried.await.unwrap();
    }
    let letters = subscription.dead_letters(10).await.unwrap();
    let letter = letters
        .iter()
        .find(|it| it.message.body.is_empty())
        .unwrap();
    assert!(subscription.release(&letter.id).await.unwrap());
    let again = take_one(&*subscription).await;
    assert_eq!((&again.id, &again.message), (&letter.id, &letter.message));
}

/// What another client puts into the topic or the queue.
async fn foreign_messages(emulator: Arc<Emulator>) {
    let fresh = fresh(&emulator).await;
    let sent = sqs(&emulator)
        .send_message()
        .queue_url(&fresh.url)
        .message_body("to the queue");
    let id = sent.send().await.unwrap().message_id.unwrap();
    let received = take_one(&*fresh.subscription).await;
    assert_eq!(
        (&received.id, &received.message),
        (&id, &message("to the queue"))
    );
    assert_eq!(received.attempt, 1);
    fresh
        .subscription
        .dead_letter(&received.receipt, "bad")
        .await
        .unwrap();
    assert!(fresh.subscription.release(&id).await.unwrap());
    let received = take_one(&*fresh.subscription).await;
    assert_eq!(
        (&received.id, &received.message),
        (&id, &message("to the queue"))
    );
    fresh.subscription.ack(&received.receipt).await.unwrap();
    let sent = sns(&emulator)
        .publish()
        .topic_arn(&fresh.arn)
        .message("to the topic");
    sent.send().await.unwrap();
    let received = take_one(&*fresh.subscription).await;
    assert_eq!(received.message, message("to the topic"));
}

/// More than ten, and more than 256 KiB together.
async fn large_batches(emulator: Arc<Emulator>) {
    for options in [TopicOptions::default(), ORDERED] {
        let fresh = fresh_with(&emulator, options, SubscriptionOptions::default()).await;
        let body = |number: usize| {
            format!(
                "{number}{}",
                "x".repeat(if number.is_multiple_of(5) {
                    100_000
                } else {
                    10
                })
            )
        };
        let batch: Vec<Message> = (0..60)
            .map(|number| keyed(&(number % 7).to_string(), &body(number)))
            .collect();
        let ids = fresh.topic.publish_batch(batch.clone()).await.unwrap();
        let mut seen: BTreeMap<String, Received> = BTreeMap::new();
        while seen.len() < batch.len() {
            let received = fresh.subscription.receive(100, LONG).await.unwrap();
            assert!(received.len() <= 100);
            let acknowledged = received
                .iter()
                .map(|it| fresh.subscription.ack(&it.receipt));
            try_join_all(acknowledged).await.unwrap();
            let received = received.into_iter().map(|it| (it.id.clone(), it));
            seen.extend(received);
        }
        for (id, message) in ids.iter().zip(batch) {
            assert_eq!(seen[id].message, message);
        }
    }
}

/// A batch with one message that is too large is not published at all.
async fn too_large_for_a_batch(emulator: Arc<Emulator>) {
    let fresh = fresh(&emulator).await;
    let limit = usize::try_from(aws::TOPIC.max_message_bytes.unwrap()).unwrap();
    let bytes = |count: usize| Message {
        body: vec![0xff; count].into(),
        ..Message::default()
    };
    let text = message(&"x".repeat(limit));
    let batch = vec![message("small"), text.clone(), bytes(limit)];
    let error = fresh.topic.publish_batch(batch).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let nothing = timeout(SHORT, fresh.subscription.receive(10, LONG)).await;
    assert!(nothing.is_err(), "{nothing:?}");
    // What is not text takes a third more, and what says so.
    let largest = bytes((limit - 100) / 4 * 3);
    for message in [text, largest] {
        fresh.topic.publish(message.clone()).await.unwrap();
        assert_eq!(take_one(&*fresh.subscription).await.message, message);
    }
    let late = Message {
        delay: Some(Duration::from_secs(5 * 24 * 3600)),
        ..message("late")
    };
    assert_eq!(
        kind_of(fresh.topic.publish(late).await),
        ErrorKind::InvalidArgument
    );
}

/// A message that nobody ends is moved to the dead letters by SQS itself.
async fn moved_by_sqs(emulator: Arc<Emulator>) {
    let options = SubscriptionOptions {
        max_deliveries: Some(2),
        ..SubscriptionOptions::default()
    };
    let fresh = fresh_with(&emulator, TopicOptions::default(), options).await;
    let attributes = BTreeMap::from([("kind".to_owned(), "bad".to_owned())]);
    let poison = Message {
        attributes,
        ..message("poison")
    };
    let id = fresh.topic.publish(poison.clone()).await.unwrap();
    for attempt in 1..=12 {
        let received = take_one(&*fresh.subscription).await;
        assert_eq!((&received.id, received.attempt), (&id, attempt));
        let back = fresh.subscription.nack(&received.receipt, Duration::ZERO);
        back.await.unwrap();
    }
    let nothing = timeout(SHORT * 2, fresh.subscription.receive(1, LONG)).await;
    assert!(nothing.is_err(), "{nothing:?}");
    let letters = fresh.subscription.dead_letters(10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (&letters[0].id, &letters[0].message, letters[0].attempts),
        (&id, &poison, 12)
    );
    assert!(
        letters[0].reason.contains("SQS moved it here"),
        "{}",
        letters[0].reason
    );
    assert!(fresh.subscription.release(&id).await.unwrap());
    let again = take_one(&*fresh.subscription).await;
    assert_eq!(
        (&again.id, &again.message, again.attempt),
        (&id, &poison, 1)
    );
    assert!(
        fresh
            .subscription
            .dead_letters(10)
            .await
            .unwrap()
            .is_empty()
    );
}

/// On an exactly-once topic an acknowledgement that comes too late is an error, as the message is delivered again.
async fn stale_receipts(emulator: Arc<Emulator>) {
    let exactly_once = TopicOptions {
        ordered: false,
        exactly_once: true,
        retention: None,
    };
    for (options, expected) in [
        (exactly_once, Some(ErrorKind::PreconditionFailed)),
        (ORDERED, None),
    ] {
        let fresh = fresh_with(&emulator, options, SubscriptionOptions::default()).await;
        let id = fresh.topic.publish(message("one")).await.unwrap();
        let first = fresh
            .subscription
            .receive(1, SHORT)
            .await
            .unwrap()
            .remove(0);
        let second = take_one(&*fresh.subscription).await;
        assert_eq!((&second.id, second.attempt), (&id, 2));
        let late = fresh.subscription.ack(&first.receipt).await;
        assert_eq!(late.err().map(|it| it.kind()), expected);
        let extended = fresh.subscription.extend(&first.receipt, LONG).await;
        assert_eq!(kind_of(extended), ErrorKind::PreconditionFailed);
        fresh
            .subscription
            .nack(&first.receipt, Duration::ZERO)
            .await
            .unwrap();
        let buried = fresh.subscription.dead_letter(&first.receipt, "bad").await;
        assert!(buried.is_err());
        // None of that was heard by the second delivery.
        let nothing = timeout(SHORT, fresh.subscription.receive(1, LONG)).await;
        assert!(nothing.is_err(), "{nothing:?}");
        fresh.subscription.ack(&second.receipt).await.unwrap();
    }
}

/// SQS would give several messages of a group at once; none comes before the one before it is acknowledged.
async fn many_of_one_key(emulator: Arc<Emulator>) {
    let fresh = fresh_with(&emulator, ORDERED, SubscriptionOptions::default()).await;
    let batch = (0..30).map(|it| keyed(["a", "b", "c"][it % 3], &it.to_string()));
    fresh.topic.publish_batch(batch.collect()).await.unwrap();
    let mut seen: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut count = 0;
    while count < 30 {
        let received = fresh.subscription.receive(10, LONG).await.unwrap();
        let keys: BTreeSet<&Option<String>> =
            received.iter().map(|it| &it.message.ordering_key).collect();
        assert_eq!(keys.len(), received.len(), "two of one key at once");
        for received in received {
            assert_eq!(received.attempt, 1);
            let number = std::str::from_utf8(&received.message.body)
                .unwrap()
                .parse()
                .unwrap();
            seen.entry(received.message.ordering_key.unwrap())
                .or_default()
                .push(number);
            fresh.subscription.ack(&received.receipt).await.unwrap();
            count += 1;
        }
    }
    for (index, numbers) in seen.values().enumerate() {
        assert_eq!(*numbers, (index..30).step_by(3).collect::<Vec<_>>());
    }
}

/// A FIFO queue shows at most ten messages of a group; the letters of a key are in several.
async fn dead_letters_of_one_key(emulator: Arc<Emulator>) {
    let fresh = fresh_with(&emulator, ORDERED, SubscriptionOptions::default()).await;
    let batch: Vec<Message> = (0..15).map(|it| keyed("key", &it.to_string())).collect();
    let ids = fresh.topic.publish_batch(batch.clone()).await.unwrap();
    for message in &batch {
        let received = take_one(&*fresh.subscription).await;
        assert_eq!(&received.message, message);
        fresh
            .subscription
            .dead_letter(&received.receipt, "bad")
            .await
            .unwrap();
    }
    for _ in 0..2 {
        let letters = fresh.subscription.dead_letters(100).await.unwrap();
        let listed: Vec<String> = letters.into_iter().map(|it| it.id).collect();
        assert_eq!(listed, ids);
    }
    // Released in their order they come in their order.
    for id in &ids[..3] {
        assert!(fresh.subscription.release(id).await.unwrap());
    }
    for message in &batch[..3] {
        let received = take_one(&*fresh.subscription).await;
        assert_eq!(&received.message, message);
        fresh.subscription.ack(&received.receipt).await.unwrap();
    }
}

async fn largest_dead_letter(emulator: Arc<Emulator>) {
    let fresh = fresh(&emulator).await;
    // As a queue that is older than SQS's larger messages.
    let dead = format!("{}-dead", fresh.url);
    let change = sqs(&emulator).set_queue_attributes().queue_url(&dead);
    let change = change.attributes(Attribute::MaximumMessageSize, (256 << 10).to_string());
    change.send().await.unwrap();
    let limit = usize::try_from(aws::TOPIC.max_message_bytes.unwrap()).unwrap();
    let largest = message(&"x".repeat(limit));
    fresh.topic.publish(largest.clone()).await.unwrap();
    let received = take_one(&*fresh.subscription).await;
    let reason = "\u{fc}\0".repeat(100_000);
    fresh
        .subscription
        .dead_letter(&received.receipt, &reason)
        .await
        .unwrap();
    let letters = fresh.subscription.dead_letters(10).await.unwrap();
    assert_eq!(letters[0].message, largest);
    assert!(reason.starts_with(&letters[0].reason) && letters[0].reason.len() > 500);
}

/// Acknowledgements at the same time go together; one that is wrong does not harm the others.
async fn acknowledged_together(emulator: Arc<Emulator>) {
    let fresh = fresh(&emulator).await;
    let batch = (0..45).map(|it| message(&it.to_string())).collect();
    fresh.topic.publish_batch(batch).await.unwrap();
    let received = take(&*fresh.subscription, 45).await;
    let wrong = underlay_backends::topic::Receipt("not a receipt".to_owned());
    let receipts = received.iter().map(|it| &it.receipt).chain([&wrong]);
    let outcomes = join_all(receipts.map(|it| fresh.subscription.ack(it))).await;
    assert!(outcomes[..45].iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(
        outcomes[45].as_ref().unwrap_err().kind(),
        ErrorKind::InvalidArgument
    );
    let left = sqs(&emulator).get_queue_attributes().queue_url(&fresh.url);
    let left = left
        .attribute_names(Attribute::ApproximateNumberOfMessages)
        .attribute_names(Attribute::ApproximateNumberOfMessagesNotVisible);
    let left = left.send().await.unwrap().attributes.unwrap();
    assert!(left.values().all(|it| it == "0"), "{left:?}");
}

/// Receives that are given up at any moment lose nothing, though leases do not end.
async fn cancelled_receives(emulator: Arc<Emulator>) {
    let fresh = fresh(&emulator).await;
    let batch = (0..40).map(|it| message(&it.to_string())).collect();
    let mut missing: BTreeSet<String> = fresh
        .topic
        .publish_batch(batch)
        .await
        .unwrap()
        .into_iter()
        .collect();
    for round in 0..40 {
        let time = Duration::from_millis(round * 2);
        if let Ok(received) = timeout(time, fresh.subscription.receive(3, LONG)).await {
            for received in received.unwrap() {
                fresh.subscription.ack(&received.receipt).await.unwrap();
                missing.remove(&received.id);
            }
        }
    }
    while !missing.is_empty() {
        for received in fresh.subscription.receive(10, LONG).await.unwrap() {
            fresh.subscription.ack(&received.receipt).await.unwrap();
            missing.remove(&received.id);
        }
    }
}

/// A delayed message holds back those of its key, not others, and is delivered for the first time when it is due.
async fn delayed_in_order(emulator: Arc<Emulator>) {
    let fresh = fresh_with(&emulator, ORDERED, SubscriptionOptions::default()).await;
    let delayed = Message {
        delay: Some(SHORT * 4),
        ..keyed("a", "a1")
    };
    let due = std::time::SystemTime::now() + SHORT * 4;
    fresh.topic.publish(delayed).await.unwrap();
    fresh
        .topic
        .publish_batch(vec![keyed("a", "a2"), keyed("b", "b1")])
        .await
        .unwrap();
    assert_eq!(
        take_one(&*fresh.subscription).await.message,
        keyed("b", "b1")
    );
    for (body, attempt) in [("a1", 1), ("a2", 1)] {
        let received = take_one(&*fresh.subscription).await;
        assert!(std::time::SystemTime::now() >= due);
        assert_eq!(
            (&received.message, received.attempt),
            (&keyed("a", body), attempt)
        );
        fresh.subscription.ack(&received.receipt).await.unwrap();
    }
}

/// What is deleted while it is used is `NotFound`.
async fn deleted_queue(emulator: Arc<Emulator>) {
    let fresh = fresh(&emulator).await;
    sqs(&emulator)
        .delete_queue()
        .queue_url(&fresh.url)
        .send()
        .await
        .unwrap();
    assert_eq!(
        kind_of(fresh.subscription.receive(1, LONG).await),
        ErrorKind::NotFound
    );
    sns(&emulator)
        .delete_topic()
        .topic_arn(&fresh.arn)
        .send()
        .await
        .unwrap();
    assert_eq!(
        kind_of(fresh.topic.publish(message("lost")).await),
        ErrorKind::NotFound
    );
}

/// A part of a batch that SNS does not take is an error that says how many messages that were. No emulator does so, so this
/// is a server with SNS's documented answers.
async fn part_of_a_batch(_: Arc<Emulator>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (sender, published) = mpsc::channel();
    // Ends with the test's process.
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = BufReader::new(connection.unwrap());
            let mut length = 0;
            let mut line = String::new();
            while connection.read_line(&mut line).unwrap() > 2 {
                if let Some((_, text)) = line.to_lowercase().split_once("content-length:") {
                    length = text.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            connection.read_exact(&mut body).unwrap();
            let body = String::from_utf8(body).unwrap();
            let result = if body.contains("Action=PublishBatch") {
                sender.send(body).unwrap();
                "<PublishBatchResponse><PublishBatchResult><Successful><member><Id>0</Id><MessageId>m</MessageId></member>\
                 </Successful><Failed><member><Id>1</Id><Code>InternalError</Code><Message>come again</Message>\
                 <SenderFault>false</SenderFault></member></Failed></PublishBatchResult></PublishBatchResponse>"
            } else {
                "<GetTopicAttributesResponse><GetTopicAttributesResult><Attributes/></GetTopicAttributesResult>\
                 </GetTopicAttributesResponse>"
            };
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\nconnection: close";
            let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{result}", result.len());
            connection.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
    let broker = Broker::connect_to(&endpoint, emulator::REGION, ("test", "test"), false);
    let broker = broker.await.unwrap();
    for (arn, options, unpublished) in [
        // One in each of three batches; on a FIFO topic nothing is sent after the first of them.
        ("arn:aws:sns:us-east-1:1:orders", TopicOptions::default(), 3),
        ("arn:aws:sns:us-east-1:1:orders.fifo", ORDERED, 16),
    ] {
        let topic = broker.topic(arn, options).await.unwrap();
        let batch = (0..25).map(|it| keyed("key", &it.to_string())).collect();
        let error = topic.publish_batch(batch).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let text = underlay_backends::error::chain(&error);
        let expected = format!("publish 25 messages: {unpublished} of them were not published");
        assert!(text.starts_with(&expected), "{text}");
        assert!(text.ends_with("InternalError: come again"), "{text}");
        assert_eq!(
            published.try_iter().count(),
            if unpublished == 3 { 3 } else { 1 }
        );
    }
}

/// Nobody there, and no secret in what is said about it.
async fn unreachable(_: Arc<Emulator>) {
    let credentials = ("AKIAHUNTER2", "hunter2");
    let broker = Broker::connect_to("http://127.0.0.1:1", emulator::REGION, credentials, false);
    let broker = broker.await.unwrap();
    let error = broker
        .topic("arn:aws:sns:us-east-1:1:orders", TopicOptions::default())
        .await;
    let error = error.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let text = format!("{} {error:?}", underlay_backends::error::chain(&error));
    assert!(!text.to_lowercase().contains("hunter2"), "{text}");
}

/// A receive that waits while the server is away gets what is published when it is back.
async fn restarted(emulator: Arc<Emulator>) {
    // One of its own: the others are in use.
    let own = Emulator::start(emulator.kind).unwrap();
    let fresh = fresh(&own).await;
    fresh.topic.publish(message("before")).await.unwrap();
    let received = take_one(&*fresh.subscription).await;
    let subscription = Arc::clone(&fresh.subscription);
    let receiving = tokio::spawn(async move { subscription.receive(1, LONG).await });
    tokio::task::yield_now().await;
    own.kill();
    let error = receiving.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let error = fresh.subscription.ack(&received.receipt).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(
        kind_of(fresh.topic.publish(message("lost")).await),
        ErrorKind::Unavailable
    );
    own.start_again();
    // It has forgotten everything, so it is all made again; the old handles work with it.
    fresh
        .broker
        .topic(&fresh.arn, TopicOptions::default())
        .await
        .unwrap();
    let again = fresh
        .broker
        .subscription(&fresh.arn, &fresh.url, SubscriptionOptions::default());
    again.await.unwrap();
    let id = fresh.topic.publish(message("after")).await.unwrap();
    assert_eq!(take_one(&*fresh.subscription).await.id, id);
}

async fn closing(emulator: Arc<Emulator>) {
    let fresh = fresh(&emulator).await;
    let subscription = Arc::clone(&fresh.subscription);
    let receiving = tokio::spawn(async move { subscription.receive(1, LONG).await });
    tokio::task::yield_now().await;
    fresh.broker.close().await.unwrap();
    assert_eq!(kind_of(receiving.await.unwrap()), ErrorKind::Unavailable);
    assert_eq!(
        kind_of(fresh.topic.publish(message("late")).await),
        ErrorKind::Unavailable
    );
    assert_eq!(
        kind_of(fresh.subscription.receive(1, LONG).await),
        ErrorKind::Unavailable
    );
}
