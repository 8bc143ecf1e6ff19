//! What is named, missing, created and filtered on SNS and SQS.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use tokio::time::timeout;
use underlay_backends::{
    ErrorKind,
    topic::{Broker as _, Message, SubscriptionOptions, TopicOptions},
};
use underlay_model::filter::{Condition, Filter};

use super::{LONG, ORDERED, SHORT, fresh, fresh_with, kind_of, message, sns, sqs, take};
use crate::emulator::Emulator;

pub(super) async fn names_and_fifo(emulator: Arc<Emulator>) {
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

pub(super) async fn missing_things(emulator: Arc<Emulator>) {
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

pub(super) async fn provisioned_once(emulator: Arc<Emulator>) {
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
pub(super) async fn broker_filters(emulator: Arc<Emulator>) {
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

/// What is deleted while it is used is `NotFound`.
pub(super) async fn deleted_queue(emulator: Arc<Emulator>) {
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
