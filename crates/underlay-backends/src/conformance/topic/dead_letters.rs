//! The cases of dead letters.

use std::{collections::BTreeMap, time::Duration};

use super::{
    ORDERED, PLAIN, Receiver, TopicHarness, TopicUnderTest, bodies, keyed, message, publish_all,
};
use crate::topic::{Message, Receipt};

pub(super) async fn dead_letter_kept(harness: &dyn TopicHarness) {
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

pub(super) async fn dead_letter_unblocks(harness: &dyn TopicHarness) {
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

pub(super) async fn dead_letters_limit(harness: &dyn TopicHarness) {
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

pub(super) async fn release_redelivers(harness: &dyn TopicHarness) {
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

pub(super) async fn release_again(harness: &dyn TopicHarness) {
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

pub(super) async fn release_unknown(harness: &dyn TopicHarness) {
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

pub(super) async fn discard_removes(harness: &dyn TopicHarness) {
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
