//! What is kept beside a topic's messages: dead letters, and messages that are not due.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;
use underlay_backends::{
    ErrorKind,
    nats::{self, Broker},
    topic::{Message, TopicOptions},
};

use crate::{
    LONG, connect, fresh, fresh_name, jetstream, message, server::Server, subscribe, take_one,
};

/// Other clients choose any ids; letters are found by them.
pub(crate) async fn foreign_ids(server: Arc<Server>) {
    const LONG_ID: &str = match std::str::from_utf8(&[b'.'; 1000]) {
        Ok(id) => id,
        Err(_) => panic!("dots are text"),
    };
    let fresh = fresh(&server).await;
    let streams = jetstream(&server).await;
    let ids = ["a.b", "* >", "ü", LONG_ID];
    for id in ids {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Msg-Id", id);
        let sent = streams.publish_with_headers(fresh.name.clone(), headers, id.into());
        sent.await.unwrap().await.unwrap();
        let received = take_one(&*fresh.subscription).await;
        assert_eq!(received.id, id);
        let buried = fresh.subscription.dead_letter(&received.receipt, "bad");
        buried.await.unwrap();
    }
    for id in ids {
        assert!(fresh.subscription.release(id).await.unwrap());
        let received = take_one(&*fresh.subscription).await;
        assert_eq!((&*received.id, received.attempt), (id, 1));
        assert_eq!(received.message, message(id));
        let buried = fresh.subscription.dead_letter(&received.receipt, "bad");
        buried.await.unwrap();
        assert!(fresh.subscription.discard(id).await.unwrap());
        assert!(!fresh.subscription.discard(id).await.unwrap());
    }
    for id in ["", "*", ">", "a", "a.b"] {
        assert!(!fresh.subscription.release(id).await.unwrap());
    }
}

/// Giving a message up again, as after a crash in between, keeps one letter.
pub(crate) async fn dead_letters_once(server: Arc<Server>) {
    let fresh = fresh(&server).await;
    fresh.topic.publish(message("one")).await.unwrap();
    let received = take_one(&*fresh.subscription).await;
    for _ in 0..3 {
        let buried = fresh.subscription.dead_letter(&received.receipt, "bad");
        buried.await.unwrap();
    }
    let letters = fresh.subscription.dead_letters(10).await.unwrap();
    assert_eq!(letters.len(), 1);
    let limit = usize::try_from(nats::TOPIC.max_message_bytes.unwrap()).unwrap();
    let largest = Message {
        body: vec![b'x'; limit].into(),
        ..Message::default()
    };
    fresh.topic.publish(largest.clone()).await.unwrap();
    let received = take_one(&*fresh.subscription).await;
    let reason = "ü".repeat(100_000);
    let buried = fresh.subscription.dead_letter(&received.receipt, &reason);
    buried.await.unwrap();
    let letters = fresh.subscription.dead_letters(10).await.unwrap();
    assert_eq!(letters[1].message, largest);
    assert!(reason.starts_with(&letters[1].reason) && letters[1].reason.len() > 1000);
}

/// What is published while nobody receives comes when somebody does, and once, though two move it.
pub(crate) async fn delayed_while_nobody_receives(server: Arc<Server>) {
    let name = fresh_name();
    let publisher = connect(&server).await;
    let topic = publisher.topic(&name, TopicOptions::default()).await;
    let topic = topic.unwrap();
    let publishing = publisher.subscription(&name, "one", subscribe(LONG)).await;
    drop(publishing.unwrap());
    publisher.close().await.unwrap();
    drop(topic);
    let publisher = connect(&server).await;
    let topic = publisher.topic(&name, TopicOptions::default()).await;
    let delayed = |body: &str, millis| Message {
        delay: Some(Duration::from_millis(millis)),
        ..message(body)
    };
    let batch = vec![
        delayed("third", 1500),
        delayed("second", 1),
        message("first"),
    ];
    let ids = topic.unwrap().publish_batch(batch).await.unwrap();
    let (one, other) = (connect(&server).await, connect(&server).await);
    let mut received = Vec::new();
    let mut subscriptions = Vec::new();
    for broker in [&one, &other] {
        broker.topic(&name, TopicOptions::default()).await.unwrap();
        let subscription = broker.subscription(&name, "one", subscribe(LONG)).await;
        subscriptions.push(subscription.unwrap());
    }
    while received.len() < ids.len() {
        let next = take_one(&*subscriptions[received.len() % 2]).await;
        assert_eq!((next.attempt, next.message.delay), (1, None));
        subscriptions[0].ack(&next.receipt).await.unwrap();
        received.push(next.id);
    }
    assert_eq!(received, [&*ids[2], &*ids[1], &*ids[0]]);
    let more = timeout(Duration::from_secs(1), subscriptions[0].receive(1, LONG)).await;
    assert!(more.is_err(), "delivered twice: {more:?}");
}

/// A topic whose streams were made by hand, without the one for delays.
pub(crate) async fn no_delays(server: Arc<Server>) {
    let fresh = fresh(&server).await;
    let streams = jetstream(&server).await;
    let delayed = format!("{}-delayed", fresh.name);
    streams.delete_stream(&delayed).await.unwrap();
    let broker = Broker::connect(&server.address, false).await.unwrap();
    let topic = broker.topic(&fresh.name, TopicOptions::default()).await;
    let later = Message {
        delay: Some(LONG),
        ..message("later")
    };
    let error = topic.unwrap().publish(later).await.expect_err("no stream");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let hint = format!("`nats stream add {delayed} --subjects '{delayed}'");
    assert!(error.to_string().contains(&hint), "{error}");
}
