//! The suite of [`Topic`] and [`Subscription`].

mod dead_letters;
mod publishing;

use std::{any::Any, collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::timeout;

use crate::{
    ErrorKind,
    capabilities::TopicCapabilities,
    conformance::{Case, Clock, cases},
    topic::{Message, Received, Subscription, Topic, TopicOptions},
};

use self::{
    dead_letters::{
        dead_letter_kept, dead_letter_unblocks, dead_letters_limit, discard_removes, release_again,
        release_redelivers, release_unknown,
    },
    publishing::{
        publish, publish_batch_empty, publish_batch_ids, publish_batch_order, publish_delayed,
        publish_id, publish_keeps, publish_own_id, publish_too_large,
    },
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
