//! What a message may be, and dead letters.

use super::*;

pub(crate) async fn every_text(emulator: Arc<Emulator>) {
    let fresh = fresh(&emulator, ORDERED, SubscriptionOptions::default()).await;
    let texts = [
        "",
        " ",
        " a  b ",
        "a:b",
        "ü\r\n",
        "%41",
        "\u{7f}",
        "\"'\\",
        "underlay-empty-key",
    ];
    let attributes = texts.iter().enumerate();
    let attributes = attributes.map(|(index, text)| (format!("{text}{index}"), (*text).to_owned()));
    let attributes: BTreeMap<String, String> = attributes
        .filter(|(name, _)| !name.starts_with("underlay-"))
        .collect();
    for key in texts {
        let message = Message {
            attributes: attributes.clone(),
            body: Bytes::from_static(b"\xff\0body"),
            ..keyed(key, "")
        };
        fresh.topic.publish(message.clone()).await.unwrap();
        let received = take_one(&*fresh.subscription).await;
        assert_eq!(received.message, message);
        fresh.subscription.ack(&received.receipt).await.unwrap();
    }
    // Nothing at all is a message, too.
    fresh.topic.publish(message("")).await.unwrap();
    let received = take_one(&*fresh.subscription).await;
    assert_eq!(received.message, message(""));
    fresh
        .subscription
        .dead_letter(&received.receipt, &"ü".repeat(5000))
        .await
        .unwrap();
    let letter = fresh.subscription.dead_letters(10).await.unwrap().remove(0);
    assert_eq!(
        (letter.message, letter.reason),
        (message(""), "ü".repeat(512))
    );
}

/// Other clients know nothing of our attributes.
pub(crate) async fn foreign_messages(emulator: Arc<Emulator>) {
    let fresh = plain(&emulator).await;
    let publisher = Publisher::builder(&fresh.topic_name).with_endpoint(emulator.url());
    let publisher = publisher.with_credentials(anonymous::Builder::new().build());
    let publisher = publisher.build().await.unwrap();
    let id = publisher
        .publish(GoogleMessage::new().set_data("plain"))
        .await
        .unwrap();
    let received = take_one(&*fresh.subscription).await;
    assert_eq!((received.message, received.id), (message("plain"), id));
}

pub(crate) async fn given_up_by_google(emulator: Arc<Emulator>) {
    let options = SubscriptionOptions {
        max_deliveries: Some(5),
        ..SubscriptionOptions::default()
    };
    let fresh = fresh(&emulator, TopicOptions::default(), options).await;
    fresh.topic.publish(message("poison")).await.unwrap();
    for attempt in 1..=5 {
        let received = take_one(&*fresh.subscription).await;
        assert_eq!(received.attempt, attempt);
        fresh
            .subscription
            .nack(&received.receipt, Duration::ZERO)
            .await
            .unwrap();
    }
    let letter = loop {
        if let Some(letter) = fresh.subscription.dead_letters(10).await.unwrap().pop() {
            break letter;
        }
    };
    assert_eq!(letter.message, message("poison"));
    assert!(
        letter.reason.contains("Google gave it up"),
        "{}",
        letter.reason
    );
    assert!(fresh.subscription.release(&letter.id).await.unwrap());
    let received = take_one(&*fresh.subscription).await;
    assert_eq!(
        (received.id, received.message),
        (letter.id, message("poison"))
    );
}

/// A process that died after it had published a letter: the message comes again and is given up again.
pub(crate) async fn letters_of_a_process_that_died(emulator: Arc<Emulator>) {
    let fresh = plain(&emulator).await;
    let id = fresh.topic.publish(message("one")).await.unwrap();
    let received = take_one(&*fresh.subscription).await;
    fresh
        .subscription
        .dead_letter(&received.receipt, "bad")
        .await
        .unwrap();
    // The same letter a second time, as such a process leaves it.
    assert!(fresh.subscription.release(&id).await.unwrap());
    for _ in 0..2 {
        let received = take_one(&*fresh.subscription).await;
        assert_eq!((&received.id, received.attempt), (&id, 1));
        fresh
            .subscription
            .dead_letter(&received.receipt, "bad")
            .await
            .unwrap();
        assert_eq!(fresh.subscription.dead_letters(10).await.unwrap().len(), 1);
        assert!(fresh.subscription.release(&id).await.unwrap());
    }
    let received = take_one(&*fresh.subscription).await;
    fresh
        .subscription
        .dead_letter(&received.receipt, "bad")
        .await
        .unwrap();
    assert!(fresh.subscription.discard(&id).await.unwrap());
    assert!(
        fresh
            .subscription
            .dead_letters(10)
            .await
            .unwrap()
            .is_empty()
    );
}

pub(crate) async fn largest_message(emulator: Arc<Emulator>) {
    let fresh = plain(&emulator).await;
    let limit = usize::try_from(gcp::TOPIC.max_message_bytes.unwrap()).unwrap();
    let largest = Message {
        body: vec![b'x'; limit].into(),
        ..Message::default()
    };
    fresh.topic.publish(largest.clone()).await.unwrap();
    let received = take_one(&*fresh.subscription).await;
    assert!(received.message == largest, "another message");
    fresh
        .subscription
        .dead_letter(&received.receipt, &"x".repeat(2000))
        .await
        .unwrap();
    assert!(fresh.subscription.release(&received.id).await.unwrap());
    assert!(
        take_one(&*fresh.subscription).await.message == largest,
        "another message"
    );
}

pub(crate) async fn large_batches(emulator: Arc<Emulator>) {
    let fresh = plain(&emulator).await;
    let batch = (0..3000).map(|number| message(&number.to_string()));
    let ids = fresh.topic.publish_batch(batch.collect()).await.unwrap();
    let mut seen = BTreeMap::new();
    // More than one process has at once, so they are acknowledged as they come.
    while seen.len() < ids.len() {
        for received in fresh.subscription.receive(300, LONG).await.unwrap() {
            fresh.subscription.ack(&received.receipt).await.unwrap();
            seen.insert(received.id, received.message);
        }
    }
    for (number, id) in ids.iter().enumerate() {
        assert_eq!(seen[id], message(&number.to_string()));
    }
}
