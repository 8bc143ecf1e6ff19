//! Leases, acknowledgements, dead letters, and connections that end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use futures_util::future::join_all;
use tokio::time::timeout;
use underlay_backends::{
    ErrorKind,
    aws::{self, Broker},
    topic::{Broker as _, Message, SubscriptionOptions, TopicOptions},
};

use super::{
    LONG, ORDERED, SHORT, fresh, fresh_with, keyed, kind_of, message, sqs, take, take_one,
};
use crate::emulator::{self, Emulator};

/// A message that nobody ends is moved to the dead letters by SQS itself.
pub(super) async fn moved_by_sqs(emulator: Arc<Emulator>) {
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
pub(super) async fn stale_receipts(emulator: Arc<Emulator>) {
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
pub(super) async fn many_of_one_key(emulator: Arc<Emulator>) {
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
pub(super) async fn dead_letters_of_one_key(emulator: Arc<Emulator>) {
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

pub(super) async fn largest_dead_letter(emulator: Arc<Emulator>) {
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
pub(super) async fn acknowledged_together(emulator: Arc<Emulator>) {
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
pub(super) async fn cancelled_receives(emulator: Arc<Emulator>) {
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

/// Nobody there, and no secret in what is said about it.
pub(super) async fn unreachable(_: Arc<Emulator>) {
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
pub(super) async fn restarted(emulator: Arc<Emulator>) {
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

pub(super) async fn closing(emulator: Arc<Emulator>) {
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
