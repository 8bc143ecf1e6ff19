//! Ordered subscriptions with several receivers, receivers that vanish, and servers that are killed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_nats::jetstream::{consumer, stream};
use futures_util::{StreamExt as _, future::join_all};
use tokio::{runtime::Runtime, sync::mpsc};
use underlay_backends::{
    ErrorKind,
    nats::Broker,
    topic::{Message, Subscription, Topic, TopicOptions},
};

use crate::{LONG, fresh_name, jetstream, message, server::Server, subscribe};

const ORDERED: TopicOptions = TopicOptions {
    ordered: true,
    exactly_once: false,
    retention: None,
};
/// A claim that ends soon, and the consumers' lease.
const SHORT: Duration = Duration::from_secs(2);

/// A server of the test's own, on which claims end after a time.
async fn server(claim: Duration) -> Server {
    let server = Server::start("").unwrap();
    let config = stream::Config {
        name: "underlay-claims".to_owned(),
        subjects: vec!["underlay-claims.>".to_owned()],
        max_messages_per_subject: 1,
        max_age: claim,
        duplicate_window: Duration::from_secs(1),
        ..stream::Config::default()
    };
    let streams = jetstream(&server).await;
    streams.create_stream(config).await.unwrap();
    server
}

/// One instance of a service.
struct Instance {
    broker: Broker,
    topic: Arc<dyn Topic>,
    subscription: Arc<dyn Subscription>,
}

impl Instance {
    async fn start(address: &str, name: &str, lease: Duration) -> Self {
        let broker = Broker::connect(address, true).await.unwrap();
        let topic = broker.topic(name, ORDERED).await.unwrap();
        let subscription = broker.subscription(name, "one", subscribe(lease)).await;
        Self {
            broker,
            topic,
            subscription: subscription.unwrap(),
        }
    }

    /// Publishes `a1 a2 b1` as messages with the keys `a`, `a`, `b`.
    async fn publish(&self, words: &str) {
        let batch = words.split(' ').map(keyed).collect();
        self.topic.publish_batch(batch).await.unwrap();
    }

    /// Receives `count` messages, and returns them with their attempts as a sorted text.
    async fn take(&self, count: usize) -> (String, Vec<underlay_backends::topic::Receipt>) {
        let mut received = Vec::new();
        while received.len() < count {
            let more = self
                .subscription
                .receive(count - received.len(), LONG)
                .await;
            received.extend(more.unwrap());
        }
        received.sort_by(|one, other| one.message.body.cmp(&other.message.body));
        let texts: Vec<String> = received
            .iter()
            .map(|it| {
                format!(
                    "{}/{}",
                    String::from_utf8_lossy(&it.message.body),
                    it.attempt
                )
            })
            .collect();
        let receipts = received.into_iter().map(|received| received.receipt);
        (texts.join(" "), receipts.collect())
    }

    /// Handles what comes, with failures, and says what was handled; never ends by itself.
    async fn handle(self, log: mpsc::UnboundedSender<(String, u32)>) {
        loop {
            let received = match self.subscription.receive(10, LONG).await {
                Ok(received) => received,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                    continue;
                }
            };
            let (subscription, log) = (&self.subscription, &log);
            let handling = received.into_iter().map(|received| async move {
                let key = received.message.ordering_key.unwrap();
                let text = String::from_utf8(received.message.body.to_vec()).unwrap();
                let number: u32 = text.strip_prefix(&key).unwrap().parse().unwrap();
                // What is not heard comes again.
                if number % 7 == 3 && received.attempt == 1 {
                    let delay = Duration::from_millis(20);
                    let _ = subscription.nack(&received.receipt, delay).await;
                } else {
                    let _ = log.send((key, number));
                    let _ = subscription.ack(&received.receipt).await;
                }
            });
            join_all(handling).await;
        }
    }
}

/// `a12` with the key `a`.
fn keyed(word: &str) -> Message {
    Message {
        ordering_key: Some(word[..1].to_owned()),
        ..message(word)
    }
}

/// Numbers from 1 of some keys, mixed.
fn mixed(keys: &[&str], count: u32) -> Vec<Message> {
    let numbers = 1..=count;
    let words = numbers.flat_map(|number| keys.iter().map(move |key| format!("{key}{number}")));
    words.map(|word| keyed(&word)).collect()
}

/// What was handled of each key: each message after the one before it. The last one may be handled again when nobody knows
/// that it was.
#[derive(Default)]
struct Handled {
    last: BTreeMap<String, u32>,
    count: usize,
    again: usize,
}

impl Handled {
    /// Notes what is handled until there are so many different messages.
    async fn until(&mut self, count: usize, log: &mut mpsc::UnboundedReceiver<(String, u32)>) {
        while self.count < count {
            let (key, number) = log.recv().await.unwrap();
            let last = self.last.entry(key.clone()).or_default();
            let is_again = number == *last;
            assert!(
                is_again || number == *last + 1,
                "{key}{number} after {key}{last}"
            );
            *last = number;
            self.count += usize::from(!is_again);
            self.again += usize::from(is_again);
        }
    }
}

fn process() -> Runtime {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).enable_all().build().unwrap()
}

/// A key whose first message is put off, or is with a receiver, stops no other.
pub(crate) async fn only_the_first_of_a_key(server: Arc<Server>) {
    let one = Instance::start(&server.address, &fresh_name(), LONG).await;
    one.publish("a1 a2 b1 c1 b2 c2").await;
    let (taken, receipts) = one.take(3).await;
    assert_eq!(taken, "a1/1 b1/1 c1/1");
    one.subscription.nack(&receipts[0], LONG).await.unwrap();
    one.subscription.ack(&receipts[2]).await.unwrap();
    let (taken, receipts) = one.take(1).await;
    assert_eq!(taken, "c2/1");
    one.subscription.ack(&receipts[0]).await.unwrap();
    one.topic
        .publish_batch(mixed(&["d", "e", "f"], 200))
        .await
        .unwrap();
    let mut last = BTreeMap::new();
    for _ in 0..600 {
        let (taken, receipts) = one.take(1).await;
        let number: u32 = taken[1..].trim_end_matches("/1").parse().unwrap();
        assert_eq!(
            last.insert(taken[..1].to_owned(), number).unwrap_or(0) + 1,
            number
        );
        one.subscription.ack(&receipts[0]).await.unwrap();
    }
    assert!(last.keys().eq(["d", "e", "f"]));
}

/// Receivers vanish without a word, one after the other, while messages fail: each key's messages are handled in order.
pub(crate) async fn vanished_receivers(_: Arc<Server>) {
    let server = server(SHORT).await;
    let name = fresh_name();
    let publisher = Instance::start(&server.address, &name, SHORT).await;
    let keys = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let (log, mut handled) = mpsc::unbounded_channel();
    let start = |address: String, name: String| {
        let (process, log) = (process(), log.clone());
        process.spawn(async move {
            Instance::start(&address, &name, SHORT)
                .await
                .handle(log)
                .await;
        });
        process
    };
    let mut receiver = start(server.address.clone(), name.clone());
    publisher
        .topic
        .publish_batch(mixed(&keys, 100))
        .await
        .unwrap();
    let mut seen = Handled::default();
    for count in [200, 400, 600] {
        seen.until(count, &mut handled).await;
        let next = start(server.address.clone(), name.clone());
        std::mem::replace(&mut receiver, next).shutdown_background();
    }
    seen.until(800, &mut handled).await;
    assert!(
        seen.last.values().all(|last| *last == 100),
        "{:?}",
        seen.last
    );
    receiver.shutdown_background();
}

/// A receiver that ends in good order hands over at once, though its claim and its leases would last.
pub(crate) async fn given_up(_: Arc<Server>) {
    let server = server(LONG * 10).await;
    let name = fresh_name();
    let one = Instance::start(&server.address, &name, LONG).await;
    one.publish("a1 a2 a3 b1 b2").await;
    let (taken, receipts) = one.take(2).await;
    assert_eq!(taken, "a1/1 b1/1");
    one.subscription.ack(&receipts[0]).await.unwrap();
    let other = Instance::start(&server.address, &name, LONG).await;
    // What was handed out comes with its second attempt, or its third if the server sent it once more to the one that was
    // leaving, which gave it back again. A message that was held back may or may not count.
    let waiting = async {
        let (taken, receipts) = other.take(2).await;
        assert!(
            taken.starts_with("a2/") && (taken.ends_with(" b1/2") || taken.ends_with(" b1/3")),
            "{taken}"
        );
        for receipt in &receipts {
            other.subscription.ack(receipt).await.unwrap();
        }
        let (taken, _) = other.take(2).await;
        assert!(
            taken.starts_with("a3/") && taken.contains(" b2/"),
            "{taken}"
        );
    };
    let closing = async {
        tokio::task::yield_now().await;
        one.broker.close().await.unwrap();
    };
    tokio::join!(waiting, closing);
    let late = one.subscription.ack(&receipts[1]).await;
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Unavailable);
    // A handle that is dropped gives up, too.
    let third = Instance::start(&server.address, &name, LONG).await;
    drop(other.subscription);
    let (taken, _) = third.take(2).await;
    assert!(
        taken.starts_with("a3/") && taken.contains(" b2/"),
        "{taken}"
    );
}

/// The server is killed again and again, and with it what it knew of the last acknowledgements.
pub(crate) async fn restarted_servers(_: Arc<Server>) {
    let server = server(SHORT * 2).await;
    let name = fresh_name();
    let publisher = Instance::start(&server.address, &name, SHORT).await;
    let keys = ["a", "b", "c", "d"];
    publisher
        .topic
        .publish_batch(mixed(&keys, 200))
        .await
        .unwrap();
    let (log, mut handled) = mpsc::unbounded_channel();
    let process = process();
    let (address, topic) = (server.address.clone(), name.clone());
    process.spawn(async move {
        Instance::start(&address, &topic, SHORT)
            .await
            .handle(log)
            .await;
    });
    let mut seen = Handled::default();
    for count in [100, 250, 400] {
        seen.until(count, &mut handled).await;
        server.restart();
    }
    seen.until(800, &mut handled).await;
    assert!(
        seen.last.values().all(|last| *last == 200),
        "{:?}",
        seen.last
    );
    process.shutdown_background();
}

/// As many messages as are held wait for one that fails: it comes again nevertheless, and then all of them.
pub(crate) async fn full_window(server: Arc<Server>) {
    let one = Instance::start(&server.address, &fresh_name(), LONG).await;
    one.topic.publish_batch(mixed(&["a"], 1200)).await.unwrap();
    for attempt in 1..4 {
        let (taken, receipts) = one.take(1).await;
        assert_eq!(taken, format!("a1/{attempt}"));
        let nacked = one
            .subscription
            .nack(&receipts[0], Duration::from_millis(300));
        nacked.await.unwrap();
    }
    let (_, receipts) = one.take(1).await;
    one.subscription.ack(&receipts[0]).await.unwrap();
    for number in 2..=1200 {
        let (taken, receipts) = one.take(1).await;
        assert!(taken.starts_with(&format!("a{number}/")), "{taken}");
        one.subscription.ack(&receipts[0]).await.unwrap();
    }
}

/// Deliveries that go astray, here to another client of the same consumer, are waited for.
pub(crate) async fn lost_deliveries(server: Arc<Server>) {
    let one = Instance::start(&server.address, &fresh_name(), SHORT).await;
    one.publish("a1").await;
    let (_, receipts) = one.take(1).await;
    one.subscription.ack(&receipts[0]).await.unwrap();
    let streams = jetstream(&server).await;
    let stream = receipts[0].0.split('.').nth(2).unwrap().to_owned();
    let thief: consumer::PullConsumer = streams
        .get_consumer_from_stream("one", stream)
        .await
        .unwrap();
    let mut stolen = BTreeSet::new();
    let mut number = 2;
    while stolen.is_empty() {
        let steal = thief
            .batch()
            .max_messages(5)
            .expires(Duration::from_millis(500));
        let mut batch = steal.messages().await.unwrap();
        let publishing = async {
            for _ in 0..10 {
                one.publish(&format!("a{number}")).await;
                number += 1;
            }
        };
        let stealing = async {
            while let Some(message) = batch.next().await {
                stolen.insert(message.unwrap().payload.clone());
            }
        };
        tokio::join!(publishing, stealing);
        let first = number - 10;
        for expected in first..number {
            let (taken, receipts) = one.take(1).await;
            assert!(
                taken.starts_with(&format!("a{expected}/")),
                "{taken}, {stolen:?}"
            );
            one.subscription.ack(&receipts[0]).await.unwrap();
        }
    }
}

/// Who waits learns that there is nothing to receive from.
pub(crate) async fn missing_consumer(server: Arc<Server>) {
    let name = fresh_name();
    let one = Instance::start(&server.address, &name, LONG).await;
    one.publish("a1").await;
    one.take(1).await;
    let streams = jetstream(&server).await;
    streams
        .delete_consumer_from_stream("one", &name)
        .await
        .unwrap();
    let error = one.subscription.receive(1, LONG).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}
