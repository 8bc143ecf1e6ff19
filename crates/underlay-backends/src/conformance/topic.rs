//! The suite of [`Topic`] and [`Subscription`].

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::timeout;

use crate::{
    ErrorKind,
    capabilities::TopicCapabilities,
    conformance::{Case, Clock, cases},
    topic::{Message, OwnId, Receipt, Received, Subscription, Topic, TopicOptions},
};

/// What the suite needs of a backend of topics.
#[async_trait]
pub trait TopicHarness: Send + Sync + 'static {
    /// What the backend says that it can do.
    fn capabilities(&self) -> TopicCapabilities;

    /// Which time leases follow.
    fn clock(&self) -> Clock;

    /// A topic that nobody else uses, with subscriptions of these names.
    async fn fresh(&self, options: TopicOptions, subscriptions: &[&str]) -> TopicUnderTest;
}

/// A topic and its subscriptions, in the order that was asked for.
pub struct TopicUnderTest {
    /// The publishing side.
    pub topic: Arc<dyn Topic>,
    /// The receiving sides.
    pub subscriptions: Vec<Arc<dyn Subscription>>,
    /// Whatever must live as long as the topic.
    pub guard: Box<dyn Any + Send>,
}

/// All cases of the suite for one backend.
pub fn topic_cases<H: TopicHarness>(harness: H) -> Vec<Case> {
    let harness = Arc::new(harness);
    let capable = harness.capabilities();
    cases![harness,
        publish;
        publish_id;
        publish_own_id;
        publish_keeps;
        publish_too_large if capable.max_message_bytes.is_some(), "a largest message";
        publish_delayed;
        publish_batch_ids;
        publish_batch_order if capable.ordering, "ordering";
        publish_batch_empty;
        receive_each;
        receive_leased;
        receive_expired;
        receive_max;
        receive_shared;
        receive_waits;
        receive_ordered if capable.ordering, "ordering";
        ack_final;
        ack_once if capable.exactly_once, "exactly once";
        ack_stale;
        nack_redelivers;
        nack_keeps_order if capable.ordering, "ordering";
        extend_holds;
        dead_letter_kept if capable.dead_letters, "dead letters";
        dead_letter_unblocks if capable.ordering && capable.dead_letters, "ordering and dead letters";
        dead_letters_limit if capable.dead_letters, "dead letters";
        release_redelivers if capable.dead_letters, "dead letters";
        release_again if capable.dead_letters, "dead letters";
        release_unknown if capable.dead_letters, "dead letters";
        discard_removes if capable.dead_letters, "dead letters";
    ]
}

/// What most cases are about.
const PLAIN: TopicOptions = TopicOptions {
    ordered: false,
    exactly_once: false,
    retention: None,
};
const ORDERED: TopicOptions = TopicOptions {
    ordered: true,
    ..PLAIN
};
const EXACTLY_ONCE: TopicOptions = TopicOptions {
    exactly_once: true,
    ..PLAIN
};

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

/// What the cases do with a subscription.
struct Receiver<'a> {
    subscription: &'a dyn Subscription,
    unit: Duration,
}

impl Receiver<'_> {
    fn of<'a>(harness: &dyn TopicHarness, test: &'a TopicUnderTest, index: usize) -> Receiver<'a> {
        Receiver {
            subscription: &*test.subscriptions[index],
            unit: harness.clock().unit(),
        }
    }

    /// A lease that ends in no case by itself.
    fn long(&self) -> Duration {
        self.unit * 20
    }

    /// Receives exactly `count` messages with a lease.
    async fn take(&self, count: usize, lease: Duration) -> Vec<Received> {
        let mut received = Vec::new();
        while received.len() < count {
            let next = self.subscription.receive(count - received.len(), lease);
            let next = timeout(self.unit * 10, next).await;
            let next =
                next.unwrap_or_else(|_| panic!("{} of {count} messages came", received.len()));
            received.extend(next.expect("receive"));
        }
        received
    }

    async fn take_one(&self, lease: Duration) -> Received {
        self.take(1, lease).await.remove(0)
    }

    /// Asserts that nothing is delivered for a time.
    async fn nothing_for(&self, time: Duration) {
        if let Ok(received) = timeout(time, self.subscription.receive(10, self.long())).await {
            panic!("delivered, and should not be: {received:?}");
        }
    }

    async fn ack(&self, received: &Received) {
        self.subscription.ack(&received.receipt).await.expect("ack");
    }
}

fn bodies(received: &[Received]) -> Vec<&str> {
    received
        .iter()
        .map(|received| std::str::from_utf8(&received.message.body).expect("text"))
        .collect()
}

async fn publish_all(
    test: &TopicUnderTest,
    messages: impl IntoIterator<Item = Message>,
) -> Vec<String> {
    let mut ids = Vec::new();
    for message in messages {
        ids.push(test.topic.publish(message).await.expect("publish"));
    }
    ids
}

async fn publish(harness: &dyn TopicHarness) {
    let test = harness.fresh(PLAIN, &["one", "two"]).await;
    publish_all(&test, [message("hello")]).await;
    for index in 0..2 {
        let receiver = Receiver::of(harness, &test, index);
        assert_eq!(bodies(&receiver.take(1, receiver.long()).await), ["hello"]);
    }
}

async fn publish_id(harness: &dyn TopicHarness) {
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

async fn publish_own_id(harness: &dyn TopicHarness) {
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

async fn publish_keeps(harness: &dyn TopicHarness) {
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

async fn publish_too_large(harness: &dyn TopicHarness) {
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

async fn publish_delayed(harness: &dyn TopicHarness) {
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

async fn publish_batch_ids(harness: &dyn TopicHarness) {
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

async fn publish_batch_order(harness: &dyn TopicHarness) {
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

async fn publish_batch_empty(harness: &dyn TopicHarness) {
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

async fn receive_each(harness: &dyn TopicHarness) {
    let test = harness.fresh(PLAIN, &["one", "two", "three"]).await;
    publish_all(&test, (0..10).map(|number| message(&format!("{number}")))).await;
    for index in 0..3 {
        let receiver = Receiver::of(harness, &test, index);
        let received = receiver.take(10, receiver.long()).await;
        let seen: BTreeSet<&str> = bodies(&received).into_iter().collect();
        assert_eq!(seen.len(), 10);
    }
}

async fn receive_leased(harness: &dyn TopicHarness) {
    let test = harness.fresh(PLAIN, &["one"]).await;
    let receiver = Receiver::of(harness, &test, 0);
    publish_all(&test, [message("one")]).await;
    receiver.take_one(receiver.long()).await;
    receiver.nothing_for(receiver.unit * 2).await;
}

async fn receive_expired(harness: &dyn TopicHarness) {
    let test = harness.fresh(PLAIN, &["one"]).await;
    let receiver = Receiver::of(harness, &test, 0);
    publish_all(&test, [message("one")]).await;
    let first = receiver.take_one(receiver.unit).await;
    let second = receiver.take_one(receiver.unit).await;
    let third = receiver.take_one(receiver.long()).await;
    assert_eq!([first.attempt, second.attempt, third.attempt], [1, 2, 3]);
    assert!(first.id == second.id && second.id == third.id);
    assert!(first.message == third.message && first.published_at == third.published_at);
}

async fn receive_max(harness: &dyn TopicHarness) {
    let test = harness.fresh(PLAIN, &["one"]).await;
    let receiver = Receiver::of(harness, &test, 0);
    publish_all(&test, (0..5).map(|number| message(&format!("{number}")))).await;
    let mut count = 0;
    while count < 5 {
        let received = receiver
            .subscription
            .receive(2, receiver.long())
            .await
            .expect("receive");
        assert!((1..=2).contains(&received.len()));
        count += received.len();
    }
    for (max, lease) in [(0, receiver.unit), (1, Duration::ZERO)] {
        let error = receiver
            .subscription
            .receive(max, lease)
            .await
            .expect_err("nothing to do");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }
}

async fn receive_shared(harness: &dyn TopicHarness) {
    let test = harness.fresh(PLAIN, &["one"]).await;
    let lease = Receiver::of(harness, &test, 0).long();
    let receiving: Vec<_> = (0..4)
        .map(|_| {
            let subscription = Arc::clone(&test.subscriptions[0]);
            tokio::spawn(async move {
                let received = subscription.receive(1, lease).await.expect("receive");
                received.into_iter().next().expect("at least one").id
            })
        })
        .collect();
    // At once: a paused clock would otherwise run to the end of the first lease while the next message is stored.
    let batch = (0..4).map(|number| message(&format!("{number}"))).collect();
    let ids = test.topic.publish_batch(batch).await.expect("publish");
    let mut seen = BTreeSet::new();
    for task in receiving {
        assert!(
            seen.insert(task.await.expect("no panic")),
            "one message went to two receivers"
        );
    }
    assert_eq!(seen, ids.into_iter().collect());
}

async fn receive_waits(harness: &dyn TopicHarness) {
    let test = harness.fresh(PLAIN, &["one"]).await;
    let receiver = Receiver::of(harness, &test, 0);
    // Given up while nothing is there: nothing is lost.
    receiver.nothing_for(receiver.unit).await;
    let subscription = Arc::clone(&test.subscriptions[0]);
    let long = receiver.long();
    let waiting = tokio::spawn(async move { subscription.receive(1, long).await });
    // Given up while a message may be on its way.
    for _ in 0..3 {
        let subscription = Arc::clone(&test.subscriptions[0]);
        let abandoned =
            tokio::spawn(async move { subscription.receive(1, Duration::from_secs(1)).await });
        tokio::task::yield_now().await;
        abandoned.abort();
        assert!(abandoned.await.expect_err("aborted").is_cancelled());
    }
    publish_all(&test, [message("one")]).await;
    let received = waiting.await.expect("no panic").expect("receive");
    assert_eq!(bodies(&received), ["one"]);
}

async fn receive_ordered(harness: &dyn TopicHarness) {
    let test = harness.fresh(ORDERED, &["one"]).await;
    let receiver = Receiver::of(harness, &test, 0);
    publish_all(
        &test,
        [
            keyed("a", "a1"),
            keyed("a", "a2"),
            keyed("b", "b1"),
            keyed("b", "b2"),
        ],
    )
    .await;
    let mut first = receiver.take(2, receiver.long()).await;
    first.sort_by(|one, other| one.message.body.cmp(&other.message.body));
    assert_eq!(bodies(&first), ["a1", "b1"]);
    receiver.nothing_for(receiver.unit).await;
    receiver.ack(&first[0]).await;
    let next = receiver.take_one(receiver.long()).await;
    assert_eq!(bodies(&[next]), ["a2"]);
    receiver.nothing_for(receiver.unit).await;
}

async fn ack_final(harness: &dyn TopicHarness) {
    let test = harness.fresh(PLAIN, &["one", "two"]).await;
    let (one, two) = (
        Receiver::of(harness, &test, 0),
        Receiver::of(harness, &test, 1),
    );
    publish_all(&test, [message("one")]).await;
    one.ack(&one.take_one(one.unit).await).await;
    one.nothing_for(one.unit * 2).await;
    assert_eq!(bodies(&two.take(1, two.long()).await), ["one"]);
}

async fn ack_once(harness: &dyn TopicHarness) {
    let test = harness.fresh(EXACTLY_ONCE, &["one"]).await;
    let receiver = Receiver::of(harness, &test, 0);
    let batch = (0..20).map(|number| message(&number.to_string())).collect();
    let ids = test.topic.publish_batch(batch).await.expect("publish");
    let mut seen = BTreeSet::new();
    while seen.len() < 20 {
        for received in receiver.take(1, receiver.unit).await {
            receiver.ack(&received).await;
            assert_eq!(received.attempt, 1);
            assert!(seen.insert(received.id), "delivered again");
        }
    }
    assert_eq!(seen, ids.into_iter().collect());
    receiver.nothing_for(receiver.unit * 2).await;
}

async fn ack_stale(harness: &dyn TopicHarness) {
    let test = harness.fresh(PLAIN, &["one"]).await;
    let receiver = Receiver::of(harness, &test, 0);
    publish_all(&test, [message("one")]).await;
    let first = receiver.take_one(receiver.unit).await;
    let second = receiver.take_one(receiver.long()).await;
    receiver.ack(&first).await;
    receiver.ack(&second).await;
    receiver.ack(&second).await;
    receiver.nothing_for(receiver.unit).await;
}

async fn nack_redelivers(harness: &dyn TopicHarness) {
    let test = harness.fresh(PLAIN, &["one"]).await;
    let receiver = Receiver::of(harness, &test, 0);
    publish_all(&test, [message("one")]).await;
    let first = receiver.take_one(receiver.long()).await;
    receiver
        .subscription
        .nack(&first.receipt, receiver.unit * 2)
        .await
        .expect("nack");
    receiver.nothing_for(receiver.unit).await;
    let second = receiver.take_one(receiver.long()).await;
    assert_eq!((second.id, second.attempt), (first.id, 2));
    receiver
        .subscription
        .nack(&second.receipt, Duration::ZERO)
        .await
        .expect("nack");
    assert_eq!(receiver.take_one(receiver.long()).await.attempt, 3);
}

async fn nack_keeps_order(harness: &dyn TopicHarness) {
    let test = harness.fresh(ORDERED, &["one"]).await;
    let receiver = Receiver::of(harness, &test, 0);
    publish_all(
        &test,
        [keyed("a", "a1"), keyed("a", "a2"), keyed("b", "b1")],
    )
    .await;
    let first = receiver.take(2, receiver.long()).await;
    let first = first
        .iter()
        .find(|received| &received.message.body[..] == b"a1")
        .expect("a1");
    receiver
        .subscription
        .nack(&first.receipt, receiver.unit * 2)
        .await
        .expect("nack");
    receiver.nothing_for(receiver.unit).await;
    let again = receiver.take_one(receiver.long()).await;
    receiver.ack(&again).await;
    let next = receiver.take_one(receiver.long()).await;
    assert_eq!(bodies(&[again, next]), ["a1", "a2"]);
}

async fn extend_holds(harness: &dyn TopicHarness) {
    let test = harness.fresh(PLAIN, &["one"]).await;
    let receiver = Receiver::of(harness, &test, 0);
    publish_all(&test, [message("one")]).await;
    let first = receiver.take_one(receiver.unit * 2).await;
    receiver
        .subscription
        .extend(&first.receipt, receiver.unit * 5)
        .await
        .expect("extend");
    receiver.nothing_for(receiver.unit * 3).await;
    assert_eq!(receiver.take_one(receiver.long()).await.attempt, 2);
}

async fn dead_letter_kept(harness: &dyn TopicHarness) {
    let test = harness.fresh(PLAIN, &["one", "two"]).await;
    let (one, two) = (
        Receiver::of(harness, &test, 0),
        Receiver::of(harness, &test, 1),
    );
    let attributes = BTreeMap::from([("kind".to_owned(), "bad".to_owned())]);
    let bad = Message {
        attributes,
        ..message("poison")
    };
    publish_all(&test, [bad.clone()]).await;
    let first = one.take_one(one.long()).await;
    one.subscription
        .nack(&first.receipt, Duration::ZERO)
        .await
        .expect("nack");
    let second = one.take_one(one.unit).await;
    one.subscription
        .dead_letter(&second.receipt, "it burns")
        .await
        .expect("dead letter");
    one.nothing_for(one.unit * 2).await;
    let letters = one
        .subscription
        .dead_letters(10)
        .await
        .expect("dead letters");
    assert_eq!(letters.len(), 1);
    assert_eq!((&letters[0].id, letters[0].attempts), (&second.id, 2));
    assert_eq!(
        (letters[0].reason.as_str(), &letters[0].message),
        ("it burns", &bad)
    );
    assert!(letters[0].failed_at >= second.published_at);
    assert!(
        two.subscription
            .dead_letters(10)
            .await
            .expect("dead letters")
            .is_empty()
    );
    assert_eq!(two.take_one(two.long()).await.message, bad);
}

async fn dead_letter_unblocks(harness: &dyn TopicHarness) {
    let test = harness.fresh(ORDERED, &["one"]).await;
    let receiver = Receiver::of(harness, &test, 0);
    publish_all(&test, [keyed("a", "a1"), keyed("a", "a2")]).await;
    let first = receiver.take_one(receiver.long()).await;
    receiver
        .subscription
        .dead_letter(&first.receipt, "bad")
        .await
        .expect("dead letter");
    let next = receiver.take_one(receiver.long()).await;
    assert_eq!(bodies(&[first, next]), ["a1", "a2"]);
}

async fn dead_letters_limit(harness: &dyn TopicHarness) {
    let test = harness.fresh(PLAIN, &["one"]).await;
    let receiver = Receiver::of(harness, &test, 0);
    let mut buried = Vec::new();
    for number in 0..5 {
        publish_all(&test, [message(&format!("{number}"))]).await;
        let received = receiver.take_one(receiver.long()).await;
        receiver
            .subscription
            .dead_letter(&received.receipt, "bad")
            .await
            .expect("dead letter");
        buried.push(received.id);
    }
    for limit in [0, 3, 100] {
        let letters = receiver
            .subscription
            .dead_letters(limit)
            .await
            .expect("dead letters");
        let ids: Vec<String> = letters.into_iter().map(|letter| letter.id).collect();
        assert_eq!(ids, buried[..limit.min(5)]);
    }
    let unknown = Receipt("not a receipt".to_owned());
    assert!(
        receiver
            .subscription
            .dead_letter(&unknown, "bad")
            .await
            .is_err()
    );
}

/// Publishes messages and gives each up; returns their ids.
async fn bury(test: &TopicUnderTest, receiver: &Receiver<'_>, all: &[&str]) -> Vec<String> {
    let mut buried = Vec::new();
    for body in all {
        publish_all(test, [message(body)]).await;
        let received = receiver.take_one(receiver.long()).await;
        let dead = receiver
            .subscription
            .dead_letter(&received.receipt, "bad")
            .await;
        dead.expect("dead letter");
        buried.push(received.id);
    }
    buried
}

impl Receiver<'_> {
    /// The ids of the dead letters.
    async fn dead(&self) -> Vec<String> {
        let letters = self.subscription.dead_letters(100).await;
        let letters = letters.expect("dead letters");
        letters.into_iter().map(|letter| letter.id).collect()
    }
}

async fn release_redelivers(harness: &dyn TopicHarness) {
    let test = harness.fresh(PLAIN, &["one", "two"]).await;
    let (one, two) = (
        Receiver::of(harness, &test, 0),
        Receiver::of(harness, &test, 1),
    );
    let attributes = BTreeMap::from([("kind".to_owned(), "ü".to_owned())]);
    let sent = Message {
        attributes,
        ..message("poison")
    };
    publish_all(&test, [sent.clone()]).await;
    two.ack(&two.take_one(two.long()).await).await;
    let first = one.take_one(one.long()).await;
    let dead = one.subscription.dead_letter(&first.receipt, "bad").await;
    dead.expect("dead letter");
    assert!(one.subscription.release(&first.id).await.expect("release"));
    assert_eq!(one.dead().await, Vec::<String>::new());
    let again = one.take_one(one.long()).await;
    assert_eq!((&again.id, again.attempt), (&first.id, 1));
    assert_eq!(again.message, sent);
    one.ack(&again).await;
    two.nothing_for(two.unit).await;
}

async fn release_again(harness: &dyn TopicHarness) {
    let test = harness.fresh(PLAIN, &["one"]).await;
    let receiver = Receiver::of(harness, &test, 0);
    let buried = bury(&test, &receiver, &["poison"]).await;
    for _ in 0..2 {
        let released = receiver.subscription.release(&buried[0]).await;
        assert!(released.expect("release"));
        let again = receiver.take_one(receiver.long()).await;
        let dead = receiver
            .subscription
            .dead_letter(&again.receipt, "still bad")
            .await;
        dead.expect("dead letter");
        assert_eq!(receiver.dead().await, buried);
    }
}

async fn release_unknown(harness: &dyn TopicHarness) {
    let test = harness.fresh(PLAIN, &["one", "two"]).await;
    let (one, two) = (
        Receiver::of(harness, &test, 0),
        Receiver::of(harness, &test, 1),
    );
    let buried = bury(&test, &one, &["poison"]).await;
    two.ack(&two.take_one(two.long()).await).await;
    let unknown = one.subscription.release("no such id").await;
    assert!(!unknown.expect("release"));
    let of_another = two.subscription.release(&buried[0]).await;
    assert!(!of_another.expect("release"));
    assert_eq!(one.dead().await, buried);
    one.nothing_for(one.unit).await;
}

async fn discard_removes(harness: &dyn TopicHarness) {
    let test = harness.fresh(PLAIN, &["one"]).await;
    let receiver = Receiver::of(harness, &test, 0);
    let buried = bury(&test, &receiver, &["a", "b", "c"]).await;
    for expected in [true, false] {
        let discarded = receiver.subscription.discard(&buried[1]).await;
        assert_eq!(discarded.expect("discard"), expected);
    }
    assert_eq!(
        receiver.dead().await,
        [buried[0].clone(), buried[2].clone()]
    );
    receiver.nothing_for(receiver.unit).await;
}
