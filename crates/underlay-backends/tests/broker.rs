//! What the broker does beyond what every topic does: retention, stale receipts, giving up while bodies are read.
#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, reason = "a failure is a panic here")]

use std::{future::poll_fn, sync::Arc, task::Poll, time::Duration};

use bytes::Bytes;
use tempfile::TempDir;
use tokio::time::{advance, timeout};
use underlay_backends::{
    ErrorKind,
    memory::{Broker, Depth, FileOptions, SubscriptionOptions, TopicOptions},
    topic::{Message, Receipt, Subscription, Topic},
};

const MINUTE: Duration = Duration::from_secs(60);

fn message(body: &'static str) -> Message {
    Message {
        body: Bytes::from_static(body.as_bytes()),
        ..Message::default()
    }
}

fn ordered(key: &str, body: &'static str) -> Message {
    Message {
        ordering_key: Some(key.to_owned()),
        ..message(body)
    }
}

/// A broker, in memory or with a file whose bodies are always read back.
async fn brokers() -> Vec<(Broker, TempDir)> {
    let mut brokers = Vec::new();
    for in_file in [false, true] {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("broker.redb");
        let options = FileOptions { memory_budget: 0 };
        let broker = if in_file {
            Broker::open_with(&path, &[("t", "s")], options)
                .await
                .unwrap()
                .0
        } else {
            Broker::in_memory()
        };
        brokers.push((broker, directory));
    }
    brokers
}

fn topic(
    broker: &Broker,
    ordered: bool,
    retention: Option<Duration>,
) -> (Arc<dyn Topic>, Arc<dyn Subscription>) {
    let topic = broker
        .topic(
            "t",
            TopicOptions {
                ordered,
                ..TopicOptions::default()
            },
        )
        .unwrap();
    (
        topic,
        broker
            .subscription(
                "t",
                "s",
                SubscriptionOptions {
                    retention,
                    ..SubscriptionOptions::default()
                },
            )
            .unwrap(),
    )
}

#[tokio::test(start_paused = true)]
async fn messages_older_than_the_retention_are_dropped() {
    for (broker, _directory) in brokers().await {
        let (t, s) = topic(&broker, true, Some(MINUTE * 10));
        t.publish(ordered("k", "old")).await.unwrap();
        t.publish(ordered("k", "old too")).await.unwrap();
        advance(MINUTE * 6).await;
        t.publish(ordered("k", "young")).await.unwrap();
        advance(MINUTE * 5).await;
        let received = s.receive(10, MINUTE).await.unwrap();
        assert_eq!(received.len(), 1);
        assert_eq!(received[0].message.body, "young");
        assert_eq!(
            broker.depth("t", "s"),
            Some(Depth {
                waiting: 0,
                leased: 1
            })
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_receipt_does_not_touch_the_newer_delivery() {
    for (broker, _directory) in brokers().await {
        let (t, s) = topic(&broker, false, None);
        t.publish(message("x")).await.unwrap();
        let stale = s.receive(1, MINUTE).await.unwrap().remove(0);
        let fresh = s.receive(1, MINUTE * 10).await.unwrap().remove(0);
        assert_eq!(fresh.attempt, 2);
        s.ack(&stale.receipt).await.unwrap();
        s.nack(&stale.receipt, Duration::ZERO).await.unwrap();
        s.extend(&stale.receipt, MINUTE * 100).await.unwrap();
        s.dead_letter(&stale.receipt, "stale").await.unwrap();
        assert_eq!(
            broker.depth("t", "s"),
            Some(Depth {
                waiting: 0,
                leased: 1
            })
        );
        assert!(s.dead_letters(1).await.unwrap().is_empty());
        assert_eq!(s.receive(1, MINUTE).await.unwrap()[0].attempt, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_after_the_lease_counts_until_somebody_else_has_the_message() {
    for (broker, _directory) in brokers().await {
        let (t, s) = topic(&broker, false, None);
        t.publish(message("x")).await.unwrap();
        let late = s.receive(1, MINUTE).await.unwrap().remove(0);
        advance(MINUTE * 2).await;
        s.ack(&late.receipt).await.unwrap();
        assert_eq!(broker.depth("t", "s"), Some(Depth::default()));
    }
}

#[tokio::test]
async fn a_receiver_that_goes_away_while_bodies_are_read_gives_them_back() {
    for (broker, _directory) in brokers().await {
        let (t, s) = topic(&broker, false, None);
        t.publish_batch(vec![message("x"); 50]).await.unwrap();
        for _ in 0..50 {
            let mut receiving = s.receive(50, MINUTE);
            // Polled once: with a file the bodies are being read now.
            let polled = poll_fn(|context| Poll::Ready(receiving.as_mut().poll(context))).await;
            drop(receiving);
            if let Poll::Ready(received) = polled {
                for received in received.unwrap() {
                    s.nack(&received.receipt, Duration::ZERO).await.unwrap();
                }
            }
            assert_eq!(
                broker.depth("t", "s"),
                Some(Depth {
                    waiting: 50,
                    leased: 0
                })
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_receivers_notice_a_shorter_delay() {
    for (broker, _directory) in brokers().await {
        let (t, s) = topic(&broker, false, None);
        t.publish_batch(vec![message("x"); 2]).await.unwrap();
        let received = s.receive(2, MINUTE * 60).await.unwrap();
        let waiting = tokio::spawn({
            let s = Arc::clone(&s);
            async move { s.receive(1, MINUTE).await }
        });
        // Another one that waits, and goes away when it is woken.
        let leaving = timeout(MINUTE * 5, s.receive(1, MINUTE));
        assert!(leaving.await.is_err());
        s.nack(&received[0].receipt, MINUTE).await.unwrap();
        let start = tokio::time::Instant::now();
        assert_eq!(waiting.await.unwrap().unwrap().len(), 1);
        assert!(start.elapsed() < MINUTE * 2);
    }
}

#[tokio::test]
async fn misuse_is_refused() {
    let broker = Broker::in_memory();
    let (_, s) = topic(&broker, false, None);
    let other = broker.topic(
        "t",
        TopicOptions {
            ordered: true,
            ..TopicOptions::default()
        },
    );
    assert_eq!(other.err().unwrap().kind(), ErrorKind::InvalidArgument);
    let unknown = broker.subscription("u", "s", SubscriptionOptions::default());
    assert_eq!(unknown.err().unwrap().kind(), ErrorKind::NotFound);
    for receipt in ["", "x", "1", "-", "1-x", "1-2-3", "-1--1"] {
        let receipt = Receipt(receipt.to_owned());
        assert_eq!(
            s.ack(&receipt).await.unwrap_err().kind(),
            ErrorKind::InvalidArgument
        );
        assert_eq!(
            s.nack(&receipt, MINUTE).await.unwrap_err().kind(),
            ErrorKind::InvalidArgument
        );
        assert_eq!(
            s.extend(&receipt, MINUTE).await.unwrap_err().kind(),
            ErrorKind::InvalidArgument
        );
    }
}

#[tokio::test]
async fn a_message_without_subscriptions_is_accepted() {
    for (broker, _directory) in brokers().await {
        let t = broker.topic("t", TopicOptions::default()).unwrap();
        assert_eq!(t.publish(message("x")).await.unwrap().len(), 32);
    }
}
