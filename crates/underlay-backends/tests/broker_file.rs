//! What the broker's file keeps, refuses and cleans up, beyond what every backend does.
#![cfg(feature = "memory")]
#![allow(clippy::unwrap_used, reason = "a failure is a panic here")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tempfile::TempDir;
use underlay_backends::{
    ErrorKind,
    memory::{Broker, Depth, FileOptions, Removed, SubscriptionOptions, TopicOptions},
    topic::{Message, Received, Subscription, Topic},
};

const LEASE: Duration = Duration::from_secs(3600);

struct File {
    _directory: TempDir,
    path: PathBuf,
}

fn file() -> File {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("not/yet/there/broker.redb");
    File {
        _directory: directory,
        path,
    }
}

async fn open(path: &Path, declared: &[(&str, &str)]) -> (Broker, Vec<Removed>) {
    Broker::open(path, declared).await.unwrap()
}

fn topic(broker: &Broker, ordered: bool) -> Arc<dyn Topic> {
    broker
        .topic(
            "t",
            TopicOptions {
                ordered,
                ..TopicOptions::default()
            },
        )
        .unwrap()
}

fn subscribe(broker: &Broker, name: &str) -> Arc<dyn Subscription> {
    broker
        .subscription("t", name, SubscriptionOptions::default())
        .unwrap()
}

fn message(key: Option<&str>, body: &str) -> Message {
    let attributes = [("attribute".to_owned(), format!("of {body}"))].into();
    Message {
        body: Bytes::copy_from_slice(body.as_bytes()),
        attributes,
        ordering_key: key.map(str::to_owned),
        delay: None,
        id: None,
    }
}

fn bodies(received: &[Received]) -> Vec<&str> {
    received
        .iter()
        .map(|received| std::str::from_utf8(&received.message.body).unwrap())
        .collect()
}

#[tokio::test]
async fn a_restart_keeps_messages_attempts_and_dead_letters() {
    let file = file();
    let declared = [("t", "one"), ("t", "two")];
    let (broker, _) = open(&file.path, &declared).await;
    let (t, one) = (topic(&broker, false), subscribe(&broker, "one"));
    subscribe(&broker, "two");
    let messages = ["acked", "dead", "leased", "untouched"].map(|body| message(Some("k"), body));
    let ids = t.publish_batch(messages.to_vec()).await.unwrap();
    let received = one.receive(3, LEASE).await.unwrap();
    assert_eq!(bodies(&received), ["acked", "dead", "leased"]);
    one.ack(&received[0].receipt).await.unwrap();
    one.dead_letter(&received[1].receipt, "no good")
        .await
        .unwrap();
    let letters = one.dead_letters(10).await.unwrap();
    broker.close().await.unwrap();

    let (broker, removed) = open(&file.path, &declared).await;
    assert!(removed.is_empty());
    topic(&broker, false);
    let (one, two) = (subscribe(&broker, "one"), subscribe(&broker, "two"));
    let again = one.receive(10, LEASE).await.unwrap();
    assert_eq!(bodies(&again), ["leased", "untouched"]);
    assert_eq!([again[0].attempt, again[1].attempt], [2, 1]);
    assert_eq!(again[0].id, ids[2]);
    assert_eq!(again[0].message, messages[2]);
    assert_eq!(
        again[0]
            .published_at
            .duration_since(received[2].published_at)
            .unwrap_or_default(),
        Duration::ZERO
    );
    assert_eq!(one.dead_letters(10).await.unwrap(), letters);
    assert_eq!(
        (letters[0].reason.as_str(), letters[0].attempts),
        ("no good", 1)
    );
    assert_eq!(two.receive(10, LEASE).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_restart_keeps_delays_and_released_letters() {
    let file = file();
    let declared = [("t", "one"), ("t", "two")];
    let (broker, _) = open(&file.path, &declared).await;
    let (t, one) = (topic(&broker, false), subscribe(&broker, "one"));
    let two = subscribe(&broker, "two");
    let id = t.publish(message(None, "released")).await.unwrap();
    for received in two.receive(10, LEASE).await.unwrap() {
        two.ack(&received.receipt).await.unwrap();
    }
    let received = one.receive(10, LEASE).await.unwrap();
    one.dead_letter(&received[0].receipt, "no good")
        .await
        .unwrap();
    assert!(one.release(&id).await.unwrap());
    let delayed = Message {
        delay: Some(Duration::from_secs(24 * 3600)),
        ..message(None, "delayed")
    };
    t.publish(delayed).await.unwrap();
    broker.close().await.unwrap();

    let (broker, _) = open(&file.path, &declared).await;
    topic(&broker, false);
    let (one, two) = (subscribe(&broker, "one"), subscribe(&broker, "two"));
    let again = one.receive(10, LEASE).await.unwrap();
    assert_eq!(bodies(&again), ["released"]);
    assert_eq!((&again[0].id, again[0].attempt), (&id, 1));
    assert!(one.dead_letters(10).await.unwrap().is_empty());
    for name in ["one", "two"] {
        assert_eq!(
            broker.depth("t", name).unwrap().waiting,
            1,
            "the delayed one"
        );
    }
    let early = tokio::time::timeout(Duration::ZERO, two.receive(10, LEASE)).await;
    assert!(early.is_err(), "{early:?}");
}

/// Handles what comes until `count` messages are acknowledged, and returns their bodies in that order.
async fn handle(subscription: &dyn Subscription, count: usize) -> Vec<String> {
    let mut handled = Vec::with_capacity(count);
    while handled.len() < count {
        let received = subscription.receive(1000, LEASE).await.unwrap();
        handled.extend(bodies(&received).into_iter().map(str::to_owned));
        let acks = received
            .iter()
            .map(|received| subscription.ack(&received.receipt));
        futures_util::future::try_join_all(acks).await.unwrap();
    }
    handled
}

#[tokio::test(flavor = "multi_thread")]
async fn more_messages_than_are_kept_in_memory_wait_and_come_in_order() {
    const COUNT: usize = 20_000;
    const KEYS: usize = 400;
    let file = file();
    let declared = [("t", "one"), ("t", "two")];
    let (broker, _) = open(&file.path, &declared).await;
    let (t, one) = (topic(&broker, true), subscribe(&broker, "one"));
    subscribe(&broker, "two");
    let publishing = tokio::spawn(async move {
        for first in (0..COUNT).step_by(500) {
            let batch = (first..first + 500)
                .map(|number| message(Some(&format!("{}", number % KEYS)), &format!("{number}")));
            t.publish_batch(batch.collect()).await.unwrap();
        }
    });
    let per_key = |handled: &[String]| {
        let mut last = [None; KEYS];
        for body in handled {
            let number: usize = body.parse().unwrap();
            assert!(
                last[number % KEYS] < Some(number),
                "{number} came late or twice"
            );
            last[number % KEYS] = Some(number);
        }
    };
    // While they are published.
    let handled = handle(&*one, COUNT).await;
    publishing.await.unwrap();
    per_key(&handled);
    assert_eq!(broker.depth("t", "one").unwrap(), Depth::default());
    // When all have been: some before a restart, some after it.
    assert_eq!(broker.depth("t", "two").unwrap().waiting, COUNT as u64);
    let two = subscribe(&broker, "two");
    let mut handled = handle(&*two, COUNT / 2).await;
    broker.close().await.unwrap();
    drop((broker, one, two));
    let (broker, _) = open(&file.path, &declared).await;
    topic(&broker, true);
    let two = subscribe(&broker, "two");
    handled.extend(handle(&*two, COUNT - handled.len()).await);
    per_key(&handled);
    assert_eq!(broker.depth("t", "two").unwrap(), Depth::default());
}

#[tokio::test]
async fn a_dropped_broker_has_flushed_its_acknowledgements() {
    let file = file();
    for round in 0..5 {
        let (broker, _) = open(&file.path, &[("t", "one")]).await;
        let (t, one) = (topic(&broker, false), subscribe(&broker, "one"));
        assert_eq!(
            broker.depth("t", "one").unwrap().waiting,
            0,
            "round {round}"
        );
        for _ in 0..10 {
            t.publish(message(None, "x")).await.unwrap();
        }
        for received in one.receive(10, LEASE).await.unwrap() {
            one.ack(&received.receipt).await.unwrap();
        }
        drop((broker, t, one));
    }
}

#[tokio::test]
async fn order_survives_a_restart() {
    let file = file();
    let declared = [("t", "one")];
    let (broker, _) = open(&file.path, &declared).await;
    let t = topic(&broker, true);
    subscribe(&broker, "one");
    for body in ["a1", "a2", "b1", "a3"] {
        t.publish(message(Some(&body[..1]), body)).await.unwrap();
    }
    broker.close().await.unwrap();
    let (broker, _) = open(&file.path, &declared).await;
    let (t, one) = (topic(&broker, true), subscribe(&broker, "one"));
    t.publish(message(Some("a"), "a4")).await.unwrap();
    let mut order = Vec::new();
    while order.len() < 5 {
        let received = one.receive(1, LEASE).await.unwrap();
        order.push(bodies(&received)[0].to_owned());
        one.ack(&received[0].receipt).await.unwrap();
    }
    let of_a: Vec<_> = order.iter().filter(|body| body.starts_with('a')).collect();
    assert_eq!(of_a, ["a1", "a2", "a3", "a4"]);
}

#[tokio::test]
async fn what_is_not_declared_any_more_is_removed_and_told() {
    let file = file();
    let (broker, _) = open(&file.path, &[("t", "old"), ("t", "new")]).await;
    let t = topic(&broker, false);
    let old = subscribe(&broker, "old");
    subscribe(&broker, "new");
    t.publish_batch(vec![message(None, "x"); 3]).await.unwrap();
    let received = old.receive(1, LEASE).await.unwrap();
    old.dead_letter(&received[0].receipt, "bad").await.unwrap();
    broker.close().await.unwrap();

    let (broker, removed) = open(&file.path, &[("t", "new")]).await;
    let expected = Removed {
        topic: "t".to_owned(),
        subscription: "old".to_owned(),
        messages: 2,
        dead_letters: 1,
    };
    assert_eq!(removed, [expected]);
    topic(&broker, false);
    let refused = broker.subscription("t", "old", SubscriptionOptions::default());
    assert_eq!(refused.err().unwrap().kind(), ErrorKind::InvalidArgument);
    assert_eq!(
        subscribe(&broker, "new")
            .receive(10, LEASE)
            .await
            .unwrap()
            .len(),
        3
    );
    broker.close().await.unwrap();

    let (broker, removed) = open(&file.path, &[("t", "old"), ("t", "new")]).await;
    assert!(removed.is_empty());
    topic(&broker, false);
    subscribe(&broker, "old");
    subscribe(&broker, "new");
    let waiting = ["old", "new"].map(|name| broker.depth("t", name).unwrap().waiting);
    assert_eq!(waiting, [0, 3]);
}

#[tokio::test]
async fn a_second_opener_is_told_so() {
    let file = file();
    let (broker, _) = open(&file.path, &[]).await;
    let error = Broker::open(&file.path, &[]).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.to_string().contains("another process has it open"),
        "{error}"
    );
    broker.close().await.unwrap();
    open(&file.path, &[]).await;
}

#[tokio::test]
async fn a_closed_broker_says_so() {
    let file = file();
    for in_file in [false, true] {
        let broker = if in_file {
            open(&file.path, &[("t", "one")]).await.0
        } else {
            Broker::in_memory()
        };
        let (t, one) = (topic(&broker, false), subscribe(&broker, "one"));
        let waiting = tokio::spawn({
            let one = Arc::clone(&one);
            async move { one.receive(1, LEASE).await }
        });
        tokio::task::yield_now().await;
        broker.close().await.unwrap();
        broker.close().await.unwrap();
        let error = waiting.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(
            one.receive(1, LEASE).await.unwrap_err().kind(),
            ErrorKind::Unavailable
        );
        assert_eq!(
            t.publish(message(None, "x")).await.unwrap_err().kind(),
            ErrorKind::Unavailable
        );
    }
}

#[tokio::test]
async fn a_damaged_file_is_an_error_with_a_way_out() {
    let file = file();
    let (broker, _) = open(&file.path, &[("t", "one")]).await;
    let t = topic(&broker, false);
    subscribe(&broker, "one");
    for _ in 0..20 {
        t.publish(message(None, &"body ".repeat(1000)))
            .await
            .unwrap();
    }
    broker.close().await.unwrap();
    let good = fs::read(&file.path).unwrap();
    let mut damaged: Vec<(String, Vec<u8>)> = vec![
        (
            "text".to_owned(),
            b"this is not a broker's file".repeat(1000),
        ),
        ("zeros".to_owned(), vec![0; good.len()]),
        ("short".to_owned(), good[..100].to_vec()),
    ];
    for kept in [good.len() / 8, good.len() / 2, good.len() - 1] {
        damaged.push((format!("the first {kept}"), good[..kept].to_vec()));
    }
    for seed in 0..40usize {
        let mut bytes = good.clone();
        let start = (seed * 2_654_435_761) % bytes.len();
        let end = (start + 700).min(bytes.len());
        bytes[start..end].fill(0xa5);
        damaged.push((format!("{start}..{end}"), bytes));
    }
    let mut refused = 0;
    for (what, bytes) in damaged {
        fs::write(&file.path, &bytes).unwrap();
        // Damage in a part that is not in use is not seen, and harms nobody.
        match Broker::open(&file.path, &[("t", "one")]).await {
            Ok((broker, _)) => {
                topic(&broker, false);
                let one = subscribe(&broker, "one");
                let waiting = broker.depth("t", "one").unwrap().waiting;
                if waiting > 0 {
                    // The bodies are read only now.
                    if let Err(error) = one.receive(100, LEASE).await {
                        check_way_out(&error, &what);
                    }
                }
            }
            Err(error) => {
                check_way_out(&error, &what);
                refused += 1;
            }
        }
    }
    assert!(refused >= 6, "{refused}");
}

fn check_way_out(error: &underlay_backends::Error, what: &str) {
    let text = error.to_string();
    assert!(
        text.contains("delete it, or run `cargo underlay reset`"),
        "{what}: {text}"
    );
    assert!(text.contains("broker.redb"), "{what}: {text}");
}

#[tokio::test]
async fn many_publishers_share_commits_and_lose_nothing() {
    let file = file();
    let (broker, _) = Broker::open_with(
        &file.path,
        &[("t", "one")],
        FileOptions {
            memory_budget: 50_000,
        },
    )
    .await
    .unwrap();
    let (t, one) = (topic(&broker, false), subscribe(&broker, "one"));
    let publishing: Vec<_> = (0..32)
        .map(|task| {
            let t = Arc::clone(&t);
            tokio::spawn(async move {
                for number in 0..20 {
                    let body = format!("{task}-{number} {}", "x".repeat(500));
                    t.publish(message(None, &body)).await.unwrap();
                }
            })
        })
        .collect();
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 640 {
        for received in one.receive(50, LEASE).await.unwrap() {
            assert!(seen.insert(received.message.body.clone()));
            one.ack(&received.receipt).await.unwrap();
        }
    }
    for task in publishing {
        task.await.unwrap();
    }
    assert_eq!(broker.depth("t", "one").unwrap().waiting, 0);
}
