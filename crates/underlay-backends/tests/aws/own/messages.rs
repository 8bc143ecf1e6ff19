//! What is published, and how it looks when it is received.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::try_join_all;
use tokio::time::timeout;
use underlay_backends::{
    ErrorKind,
    aws::{self, Broker},
    topic::{Broker as _, Message, Received, SubscriptionOptions, TopicOptions},
};

use super::{LONG, ORDERED, SHORT, fresh, fresh_with, keyed, kind_of, message, sns, sqs, take_one};
use crate::emulator::{self, Emulator};

pub(super) async fn every_text(emulator: Arc<Emulator>) {
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
pub(super) async fn envelopes(emulator: Arc<Emulator>) {
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
pub(super) async fn foreign_messages(emulator: Arc<Emulator>) {
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
pub(super) async fn large_batches(emulator: Arc<Emulator>) {
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
pub(super) async fn too_large_for_a_batch(emulator: Arc<Emulator>) {
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

/// A part of a batch that SNS does not take is an error that says how many messages that were. No emulator does so, so this
/// is a server with SNS's documented answers.
pub(super) async fn part_of_a_batch(_: Arc<Emulator>) {
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

/// A delayed message holds back those of its key, not others, and is delivered for the first time when it is due.
pub(super) async fn delayed_in_order(emulator: Arc<Emulator>) {
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
