//! The cases of publishing.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use bytes::Bytes;

use super::{ORDERED, PLAIN, Receiver, TopicHarness, bodies, keyed, message, publish_all};
use crate::{
    ErrorKind,
    topic::{Message, OwnId},
};

pub(super) async fn publish(harness: &dyn TopicHarness) {
    let test = harness.fresh(PLAIN, &["one", "two"]).await;
    publish_all(&test, [message("hello")]).await;
    for index in 0..2 {
        let receiver = Receiver::of(harness, &test, index);
        assert_eq!(bodies(&receiver.take(1, receiver.long()).await), ["hello"]);
    }
}

pub(super) async fn publish_id(harness: &dyn TopicHarness) {
    let test = harness.fresh(PLAIN, &["one", "two"]).await;
    let ids = publish_all(&test, (0..20).map(|_| message("same"))).await;
    let ids: BTreeSet<String> = ids.into_iter().collect();
    assert_eq!(ids.len(), 20, "ids repeat");
    for index in 0..2 {
        let receiver = Receiver::of(harness, &test, index);
        let received = receiver.take(20, receiver.long()).await;
        let seen: BTreeSet<String> = received.into_iter().map(|received| received.id).collect();
        assert_eq!(seen, ids);
    }
}

pub(super) async fn publish_own_id(harness: &dyn TopicHarness) {
    let test = harness.fresh(PLAIN, &["one"]).await;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.expect("a clock after 1970").as_nanos();
    let own = |body: &str, number: u128| Message {
        id: OwnId::parse(&format!("{:032x}", now + number)),
        ..message(body)
    };
    let (first, second) = (own("first", 1), own("second", 2));
    let ids = |messages: &[&Message]| -> Vec<String> {
        let ids = messages.iter().filter_map(|it| it.id);
        ids.map(|it| it.to_string()).collect()
    };
    let returned = publish_all(&test, [first.clone()]).await;
    assert_eq!(returned, ids(&[&first]));
    let batch = vec![message("without"), second.clone()];
    let returned = test.topic.publish_batch(batch).await.expect("publish");
    assert_eq!(returned[1..], ids(&[&second]));
    let receiver = Receiver::of(harness, &test, 0);
    let received = receiver.take(3, receiver.long()).await;
    let seen: BTreeMap<&[u8], &str> = received
        .iter()
        .map(|it| (&*it.message.body, &*it.id))
        .collect();
    assert_eq!(seen[&b"first"[..]], ids(&[&first])[0]);
    assert_eq!(seen[&b"second"[..]], ids(&[&second])[0]);
    assert_eq!(seen[&b"without"[..]], returned[0]);
    assert!(received.iter().all(|it| it.message.id.is_none()));
}

pub(super) async fn publish_keeps(harness: &dyn TopicHarness) {
    let test = harness.fresh(ORDERED, &["one"]).await;
    let receiver = Receiver::of(harness, &test, 0);
    let attributes = BTreeMap::from([
        ("kind".to_owned(), "grün".to_owned()),
        ("empty".to_owned(), String::new()),
    ]);
    let ordering_key = harness
        .capabilities()
        .ordering
        .then(|| "key ü/1".to_owned());
    let all_bytes: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    for body in [
        Bytes::new(),
        Bytes::from_static(b"\0\xff"),
        Bytes::from(all_bytes),
    ] {
        let message = Message {
            body,
            attributes: attributes.clone(),
            ordering_key: ordering_key.clone(),
            delay: None,
            id: None,
        };
        publish_all(&test, [message.clone()]).await;
        let received = receiver.take_one(receiver.long()).await;
        assert_eq!(received.message, message);
        assert_eq!(received.attempt, 1);
        receiver.ack(&received).await;
    }
}

pub(super) async fn publish_too_large(harness: &dyn TopicHarness) {
    let test = harness.fresh(PLAIN, &["one"]).await;
    let receiver = Receiver::of(harness, &test, 0);
    let limit = harness
        .capabilities()
        .max_message_bytes
        .expect("the case needs a limit");
    let body = vec![b'x'; usize::try_from(limit).expect("a limit that fits into memory") + 1];
    let error = test
        .topic
        .publish(Message {
            body: body.into(),
            ..Message::default()
        })
        .await;
    let error = error.expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains(&limit.to_string()), "{error}");
    receiver.nothing_for(receiver.unit).await;
}

pub(super) async fn publish_delayed(harness: &dyn TopicHarness) {
    let test = harness.fresh(PLAIN, &["one"]).await;
    let receiver = Receiver::of(harness, &test, 0);
    let delayed = Message {
        delay: Some(receiver.unit * 3),
        ..message("later")
    };
    let published = test.topic.publish(delayed).await;
    if !harness.capabilities().delay {
        let error = published.expect_err("the backend declares that it cannot");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        return;
    }
    let id = published.expect("publish");
    publish_all(&test, [message("now")]).await;
    let now = receiver.take_one(receiver.long()).await;
    assert_eq!(bodies(std::slice::from_ref(&now)), ["now"]);
    receiver.ack(&now).await;
    receiver.nothing_for(receiver.unit).await;
    let later = receiver.take_one(receiver.long()).await;
    assert_eq!(later.message, message("later"));
    assert_eq!((later.id, later.attempt), (id, 1));
}

pub(super) async fn publish_batch_ids(harness: &dyn TopicHarness) {
    let test = harness.fresh(PLAIN, &["one", "two"]).await;
    let batch = (0..25).map(|number| message(&number.to_string())).collect();
    let ids = test.topic.publish_batch(batch).await.expect("publish");
    assert_eq!(ids.len(), 25);
    for index in 0..2 {
        let receiver = Receiver::of(harness, &test, index);
        for received in receiver.take(25, receiver.long()).await {
            let number: usize = bodies(std::slice::from_ref(&received))[0]
                .parse()
                .expect("a number");
            assert_eq!(received.id, ids[number]);
        }
    }
}

pub(super) async fn publish_batch_order(harness: &dyn TopicHarness) {
    let test = harness.fresh(ORDERED, &["one"]).await;
    let receiver = Receiver::of(harness, &test, 0);
    let batch = (0..20)
        .map(|number| keyed(["a", "b"][number % 2], &number.to_string()))
        .collect();
    test.topic.publish_batch(batch).await.expect("publish");
    let mut seen: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for _ in 0..20 {
        let received = receiver.take_one(receiver.long()).await;
        let number = bodies(std::slice::from_ref(&received))[0]
            .parse()
            .expect("a number");
        seen.entry(received.message.ordering_key.clone().expect("a key"))
            .or_default()
            .push(number);
        receiver.ack(&received).await;
    }
    assert_eq!(seen["a"], (0..20).step_by(2).collect::<Vec<_>>());
    assert_eq!(seen["b"], (1..20).step_by(2).collect::<Vec<_>>());
}

pub(super) async fn publish_batch_empty(harness: &dyn TopicHarness) {
    let test = harness.fresh(PLAIN, &["one"]).await;
    let receiver = Receiver::of(harness, &test, 0);
    assert!(
        test.topic
            .publish_batch(Vec::new())
            .await
            .expect("publish")
            .is_empty()
    );
    receiver.nothing_for(receiver.unit).await;
}
