//! A process that publishes to a broker's file is killed: whatever it was told is published is there afterwards.
//!
//! The program is its own victim: started with a path in the environment it publishes and acknowledges until it dies,
//! and prints what it knows. Knows nothing of how the file is written.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failure is a panic, and the victim prints"
)]

use std::{
    collections::BTreeSet,
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, ExitCode, Stdio},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use libtest_mimic::{Arguments, Trial};
use tempfile::TempDir;
use underlay_backends::{
    memory::{Broker, SubscriptionOptions, TopicOptions},
    topic::{Message, Subscription, Topic},
};

const VICTIM: &str = "UNDERLAY_TEST_VICTIM";
const DECLARED: [(&str, &str); 2] = [("orders", "first"), ("orders", "second")];
const LEASE: Duration = Duration::from_secs(3600);

fn main() -> ExitCode {
    if let Some(path) = env::var_os(VICTIM) {
        runtime().block_on(die(Path::new(&path)));
        return ExitCode::FAILURE;
    }
    let arguments = Arguments::from_args();
    let trials = vec![
        Trial::test("killed_while_publishing", || {
            runtime().block_on(survive(false));
            Ok(())
        }),
        Trial::test("killed_while_acknowledging_exactly_once", || {
            runtime().block_on(survive(true));
            Ok(())
        }),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

struct Opened {
    broker: Broker,
    topic: Arc<dyn Topic>,
    first: Arc<dyn Subscription>,
    second: Arc<dyn Subscription>,
}

async fn open(path: &Path) -> Opened {
    let (broker, removed) = Broker::open(path, &DECLARED).await.unwrap();
    assert!(removed.is_empty());
    let options = TopicOptions {
        exactly_once: true,
        ..TopicOptions::default()
    };
    let topic = broker.topic("orders", options).unwrap();
    let subscribe = |name| {
        broker
            .subscription("orders", name, SubscriptionOptions::default())
            .unwrap()
    };
    let (first, second) = (subscribe("first"), subscribe("second"));
    Opened {
        broker,
        topic,
        first,
        second,
    }
}

/// Publishes from many tasks and acknowledges at the second subscription, and says so after each, until it is killed.
async fn die(path: &Path) {
    let Opened { topic, second, .. } = open(path).await;
    for _ in 0..16 {
        let topic = Arc::clone(&topic);
        tokio::spawn(async move {
            loop {
                let message = Message {
                    body: Bytes::from(vec![b'x'; 3000]),
                    ..Message::default()
                };
                say("published", &topic.publish(message).await.unwrap());
            }
        });
    }
    loop {
        for received in second.receive(10, LEASE).await.unwrap() {
            second.ack(&received.receipt).await.unwrap();
            say("acknowledged", &received.id);
        }
    }
}

/// One write for the line, so that it is whole or missing.
fn say(what: &str, id: &str) {
    std::io::stdout()
        .write_all(format!("{what} {id}\n").as_bytes())
        .unwrap();
}

/// Kills a victim after it has done some work, and looks at what it left.
async fn survive(acknowledging: bool) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("broker.redb");
    let mut victim = Command::new(env::current_exe().unwrap())
        .env(VICTIM, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut published, mut acknowledged) = (BTreeSet::new(), BTreeSet::new());
    let mut killed = false;
    // What it said before it died counts, also when we read it later.
    for line in BufReader::new(victim.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let (what, id) = line.split_once(' ').unwrap();
        let ids = if what == "published" {
            &mut published
        } else {
            &mut acknowledged
        };
        assert!(ids.insert(id.to_owned()), "{what} twice");
        if !killed
            && (if acknowledging {
                acknowledged.len()
            } else {
                published.len()
            }) >= 200
        {
            victim.kill().unwrap();
            killed = true;
        }
    }
    victim.wait().unwrap();
    assert!(killed, "it ended by itself");

    let Opened {
        broker,
        first,
        second,
        ..
    } = open(&path).await;
    let waiting = |subscription| broker.depth("orders", subscription).unwrap().waiting;
    let (at_first, at_second) = (waiting("first"), waiting("second"));
    let left = ids(&*first, at_first).await;
    assert!(
        published.is_subset(&left),
        "published and lost: {:?}",
        published.difference(&left).next()
    );
    let left = ids(&*second, at_second).await;
    assert!(
        left.is_disjoint(&acknowledged),
        "acknowledged and delivered again"
    );
    let known: BTreeSet<String> = left.union(&acknowledged).cloned().collect();
    // The victim acknowledges one after the other, and may have died between the last one and saying so.
    assert!(
        published.difference(&known).count() <= 1,
        "neither acknowledged nor left"
    );
    broker.close().await.unwrap();
}

/// The ids of all that waits for a subscription.
async fn ids(subscription: &dyn Subscription, count: u64) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    while (ids.len() as u64) < count {
        for received in subscription.receive(100, LEASE).await.unwrap() {
            assert_eq!(received.message.body.len(), 3000);
            assert!(ids.insert(received.id), "delivered twice");
        }
    }
    ids
}
