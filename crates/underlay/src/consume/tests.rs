//! The promises of the loop, one test each, over the broker in memory and tokio's paused clock.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::watch;
use tokio::time::timeout;
use underlay_backends::memory::{Broker, SubscriptionOptions, TopicOptions};
use underlay_backends::topic::{DeadLetter, Message, Topic};
use underlay_model::filter::Condition;
use underlay_model::model::DeliveryOptions;

use super::*;
use crate::subscription::HandlerFuture;

/// A running subscription, and what one needs to look at it from outside.
struct Bench {
    topic: Arc<dyn Topic>,
    source: Arc<dyn Source>,
    stop: watch::Sender<bool>,
    consumer: tokio::task::JoinHandle<()>,
}

fn start(handle: Handle, options: DeliveryOptions, ordered: bool) -> Bench {
    start_filtered(handle, options, ordered, Filter::default())
}

fn start_filtered(
    handle: Handle,
    options: DeliveryOptions,
    ordered: bool,
    filter: Filter,
) -> Bench {
    let broker = Broker::in_memory();
    let topic_options = TopicOptions {
        ordered,
        ..TopicOptions::default()
    };
    let topic = broker.topic("events", topic_options).unwrap();
    let source = broker
        .subscription("events", "handle", SubscriptionOptions::default())
        .unwrap();
    let consumer = Arc::new(consumer(handle, options, filter, Arc::clone(&source)));
    let (stop, stopped) = watch::channel(false);
    Bench {
        topic,
        source,
        stop,
        consumer: tokio::spawn(consumer.run(stopped)),
    }
}

fn consumer(
    handle: Handle,
    options: DeliveryOptions,
    filter: Filter,
    source: Arc<dyn Source>,
) -> Consumer {
    let declared = model::Subscription {
        name: "handle".to_owned(),
        topic: "events".to_owned(),
        handler: String::new(),
        delivery: options,
        filter,
        idempotent_in: None,
        service: String::new(),
        doc: String::new(),
        source: underlay_model::Source::default(),
    };
    Consumer::new(&declared, handle, source).unwrap()
}

impl Bench {
    async fn publish(&self, body: &'static str, key: Option<&str>) -> String {
        let message = Message {
            body: body.into(),
            ordering_key: key.map(str::to_owned),
            ..Message::default()
        };
        self.topic.publish(message).await.unwrap()
    }

    async fn stop(self) -> Arc<dyn Source> {
        self.stop.send_replace(true);
        self.consumer.await.unwrap();
        self.source
    }
}

/// Waits, by letting other tasks and the paused clock go on, until the condition holds.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn options(max_retries: Option<u32>) -> DeliveryOptions {
    DeliveryOptions {
        max_retries,
        ..DeliveryOptions::default()
    }
}

#[test]
fn backoff_doubles_up_to_the_maximum() {
    let (min, max) = (Duration::from_secs(10), Duration::from_secs(600));
    for (failures, lower) in [(0, 10), (1, 20), (2, 40), (5, 320), (6, 600), (100, 600)] {
        let wait = backoff(min, max, failures);
        assert!(
            wait >= Duration::from_secs(lower) && wait <= max,
            "{failures}: {wait:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_message_comes_back_with_the_next_attempt_and_the_same_id() {
    static SEEN: Mutex<Vec<(String, u32)>> = Mutex::new(Vec::new());
    fn handle(_: bytes::Bytes, delivery: Delivery) -> HandlerFuture {
        let mut seen = SEEN.lock().unwrap();
        seen.push((delivery.id.to_string(), delivery.attempt));
        let result = if seen.len() < 3 {
            Err("not yet".into())
        } else {
            Ok(())
        };
        Box::pin(async { result })
    }
    let bench = start(handle, options(Some(100)), false);
    let id = bench.publish("1", None).await;
    until(|| SEEN.lock().unwrap().len() == 3).await;
    let source = bench.stop().await;
    assert_eq!(
        *SEEN.lock().unwrap(),
        [(id.clone(), 1), (id.clone(), 2), (id, 3)]
    );
    assert!(source.dead_letters(10).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_message_is_dead_lettered_after_its_retries_with_the_last_reason() {
    static ATTEMPTS: AtomicUsize = AtomicUsize::new(0);
    fn handle(_: bytes::Bytes, delivery: Delivery) -> HandlerFuture {
        ATTEMPTS.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move { Err(format!("attempt {} failed", delivery.attempt).into()) })
    }
    let bench = start(handle, options(Some(2)), false);
    bench.publish("1", None).await;
    until(|| ATTEMPTS.load(Ordering::SeqCst) == 3).await;
    let source = bench.stop().await;
    let dead = source.dead_letters(10).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(
        (dead[0].attempts, dead[0].reason.as_str()),
        (3, "attempt 3 failed")
    );
    assert_eq!(ATTEMPTS.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn an_unrecoverable_failure_is_dead_lettered_at_once() {
    static ATTEMPTS: AtomicUsize = AtomicUsize::new(0);
    fn handle(_: bytes::Bytes, _: Delivery) -> HandlerFuture {
        ATTEMPTS.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Err(Error::unrecoverable("no such customer").into()) })
    }
    let bench = start(handle, options(Some(100)), false);
    bench.publish("1", None).await;
    until(|| ATTEMPTS.load(Ordering::SeqCst) == 1).await;
    let source = bench.stop().await;
    let dead = source.dead_letters(10).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(
        dead[0].reason,
        "the message can never be handled: no such customer"
    );
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failure_and_the_loop_goes_on() {
    static HANDLED: AtomicUsize = AtomicUsize::new(0);
    fn handle(body: bytes::Bytes, delivery: Delivery) -> HandlerFuture {
        Box::pin(async move {
            assert!(body != "poison" || delivery.attempt > 1, "poisoned");
            HANDLED.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
    }
    let bench = start(handle, options(Some(100)), false);
    bench.publish("poison", None).await;
    bench.publish("good", None).await;
    until(|| HANDLED.load(Ordering::SeqCst) == 2).await;
    let source = bench.stop().await;
    assert!(source.dead_letters(10).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_is_given_up_at_its_deadline() {
    static ATTEMPTS: AtomicUsize = AtomicUsize::new(0);
    fn handle(_: bytes::Bytes, delivery: Delivery) -> HandlerFuture {
        ATTEMPTS.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            if delivery.attempt == 1 {
                std::future::pending::<()>().await;
            }
            Ok(())
        })
    }
    let bench = start(handle, options(Some(100)), false);
    bench.publish("1", None).await;
    until(|| ATTEMPTS.load(Ordering::SeqCst) == 2).await;
    let source = bench.stop().await;
    assert!(source.dead_letters(10).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn no_more_than_max_concurrency_run_at_once() {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    static HANDLED: AtomicUsize = AtomicUsize::new(0);
    fn handle(_: bytes::Bytes, _: Delivery) -> HandlerFuture {
        Box::pin(async {
            MOST.fetch_max(RUNNING.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(1)).await;
            RUNNING.fetch_sub(1, Ordering::SeqCst);
            HANDLED.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
    }
    let bench = start(
        handle,
        DeliveryOptions {
            max_concurrency: 3,
            ..DeliveryOptions::default()
        },
        false,
    );
    for _ in 0..10 {
        bench.publish("1", None).await;
    }
    until(|| HANDLED.load(Ordering::SeqCst) == 10).await;
    bench.stop().await;
    assert_eq!(MOST.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn order_is_kept_per_key_across_retries_and_other_keys_go_on() {
    static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());
    fn handle(body: bytes::Bytes, delivery: Delivery) -> HandlerFuture {
        let body = String::from_utf8(body.to_vec()).unwrap();
        let fails = body == "a1" && delivery.attempt < 3;
        SEEN.lock().unwrap().push(body);
        Box::pin(async move { if fails { Err("not yet".into()) } else { Ok(()) } })
    }
    let bench = start(handle, options(Some(100)), true);
    for (body, key) in [("a1", "a"), ("a2", "a"), ("b1", "b"), ("b2", "b")] {
        bench.publish(body, Some(key)).await;
    }
    until(|| SEEN.lock().unwrap().len() == 6).await;
    bench.stop().await;
    let seen = SEEN.lock().unwrap();
    let of = |key: &str| {
        seen.iter()
            .filter(|body| body.starts_with(key))
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(of("a"), ["a1", "a1", "a1", "a2"]);
    assert_eq!(of("b"), ["b1", "b2"]);
    let last_b = seen.iter().rposition(|body| body == "b2").unwrap();
    let last_a = seen.iter().rposition(|body| body == "a1").unwrap();
    assert!(last_b < last_a, "a failing key held up another: {seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_the_handlers_that_run() {
    static ENDED: AtomicUsize = AtomicUsize::new(0);
    static BEGUN: AtomicUsize = AtomicUsize::new(0);
    fn handle(_: bytes::Bytes, _: Delivery) -> HandlerFuture {
        BEGUN.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            ENDED.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
    }
    let bench = start(handle, options(Some(100)), false);
    bench.publish("1", None).await;
    until(|| BEGUN.load(Ordering::SeqCst) == 1).await;
    bench.stop().await;
    assert_eq!(ENDED.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_filter_leaves_out_is_acknowledged_without_the_handler() {
    static SEEN: Mutex<Vec<bytes::Bytes>> = Mutex::new(Vec::new());
    fn handle(body: bytes::Bytes, _: Delivery) -> HandlerFuture {
        SEEN.lock().unwrap().push(body);
        Box::pin(async { Ok(()) })
    }
    let country = Condition::AnyOf(vec!["DE".to_owned()]);
    let filter = Filter(BTreeMap::from([("country".to_owned(), country)]));
    let bench = start_filtered(handle, options(Some(0)), false, filter);
    for country in ["FR", "DE", "AT"] {
        let message = Message {
            body: country.into(),
            attributes: BTreeMap::from([("country".to_owned(), country.to_owned())]),
            ..Message::default()
        };
        bench.topic.publish(message).await.unwrap();
    }
    bench.publish("none", None).await;
    until(|| SEEN.lock().unwrap().len() == 1).await;
    let lease = lease(Duration::from_secs(30));
    let source = bench.stop().await;
    let waiting = tokio::time::timeout(lease * 2, source.receive(1, lease)).await;
    assert!(waiting.is_err(), "not acknowledged: {waiting:?}");
    assert_eq!(*SEEN.lock().unwrap(), ["DE"]);
    assert!(source.dead_letters(10).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_extended_while_the_handler_runs() {
    static ATTEMPTS: AtomicUsize = AtomicUsize::new(0);
    static ENDED: AtomicUsize = AtomicUsize::new(0);
    fn handle(_: bytes::Bytes, _: Delivery) -> HandlerFuture {
        ATTEMPTS.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {
            tokio::time::sleep(Duration::from_secs(9 * 60)).await;
            ENDED.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
    }
    let declared = DeliveryOptions {
        ack_deadline: "10m".to_owned(),
        ..DeliveryOptions::default()
    };
    let bench = start(handle, declared, false);
    bench.publish("1", None).await;
    until(|| ENDED.load(Ordering::SeqCst) == 1).await;
    bench.stop().await;
    assert_eq!(ATTEMPTS.load(Ordering::SeqCst), 1);
    // Short, so that the message of a process that died does not wait for the handler's deadline.
    assert!(lease(Duration::from_secs(600)) < Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_ends_every_process_is_given_up() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    fn handle(_: bytes::Bytes, _: Delivery) -> HandlerFuture {
        CALLS.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(()) })
    }
    let bench = start(handle, options(Some(2)), false);
    let source = bench.stop().await;
    let deliveries = max_deliveries(2);
    let received = Received {
        id: "1".to_owned(),
        attempt: deliveries + 1,
        published_at: std::time::SystemTime::now(),
        message: Message::default(),
        receipt: Receipt("1-1".to_owned()),
    };
    let consumer = consumer(handle, options(Some(2)), Filter::default(), source);
    let outcome = consumer.deliver(received.clone()).await;
    assert!(
        matches!(outcome, Outcome::DeadLettered { .. }),
        "{outcome:?}"
    );
    assert_eq!(CALLS.load(Ordering::SeqCst), 0);
    // Fewer deliveries than that are no failures: the processes may have been stopped for other reasons.
    let received = Received {
        attempt: deliveries,
        ..received
    };
    assert_eq!(consumer.deliver(received).await, Outcome::Handled);
}

/// A subscription whose first receives fail.
struct Flaky {
    failures: AtomicUsize,
    source: Arc<dyn Source>,
}

#[async_trait::async_trait]
impl Source for Flaky {
    async fn receive(
        &self,
        max: usize,
        lease: Duration,
    ) -> underlay_backends::Result<Vec<Received>> {
        let left = self
            .failures
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        if left.is_ok() {
            let kind = underlay_backends::ErrorKind::Unavailable;
            return Err(underlay_backends::Error::new(
                kind,
                "test",
                "events",
                "receive: gone",
            ));
        }
        self.source.receive(max, lease).await
    }

    async fn ack(&self, receipt: &Receipt) -> underlay_backends::Result<()> {
        self.source.ack(receipt).await
    }

    async fn nack(&self, receipt: &Receipt, delay: Duration) -> underlay_backends::Result<()> {
        self.source.nack(receipt, delay).await
    }

    async fn extend(&self, receipt: &Receipt, lease: Duration) -> underlay_backends::Result<()> {
        self.source.extend(receipt, lease).await
    }

    async fn dead_letter(&self, receipt: &Receipt, reason: &str) -> underlay_backends::Result<()> {
        self.source.dead_letter(receipt, reason).await
    }

    async fn dead_letters(&self, limit: usize) -> underlay_backends::Result<Vec<DeadLetter>> {
        self.source.dead_letters(limit).await
    }

    async fn release(&self, id: &str) -> underlay_backends::Result<bool> {
        self.source.release(id).await
    }

    async fn discard(&self, id: &str) -> underlay_backends::Result<bool> {
        self.source.discard(id).await
    }
}

#[tokio::test(start_paused = true)]
async fn the_loop_receives_again_after_the_broker_was_away() {
    static HANDLED: AtomicUsize = AtomicUsize::new(0);
    fn handle(_: bytes::Bytes, _: Delivery) -> HandlerFuture {
        HANDLED.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(()) })
    }
    let broker = Broker::in_memory();
    let topic = broker.topic("events", TopicOptions::default()).unwrap();
    let source = broker
        .subscription("events", "handle", SubscriptionOptions::default())
        .unwrap();
    let flaky = Arc::new(Flaky {
        failures: AtomicUsize::new(5),
        source,
    });
    let source = Arc::clone(&flaky) as Arc<dyn Source>;
    let consumer = consumer(handle, options(Some(0)), Filter::default(), source);
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(Arc::new(consumer).run(stopped));
    topic.publish(Message::default()).await.unwrap();
    until(|| HANDLED.load(Ordering::SeqCst) == 1).await;
    stop.send_replace(true);
    running.await.unwrap();
    assert_eq!(flaky.failures.load(Ordering::SeqCst), 0);
}

/// Messages wait for quick handlers, and for slow ones only until it shows that they are slow.
#[tokio::test(start_paused = true)]
async fn what_was_received_ahead_goes_to_others_when_a_handler_gets_slow() {
    static IS_SLOW: AtomicBool = AtomicBool::new(false);
    fn handle(body: bytes::Bytes, _: Delivery) -> HandlerFuture {
        Box::pin(async move {
            let is_slow = &*body == b"slow";
            IS_SLOW.fetch_or(is_slow, Ordering::SeqCst);
            let time = if is_slow { 20_000 } else { 1 };
            tokio::time::sleep(Duration::from_millis(time)).await;
            Ok(())
        })
    }
    let one_at_a_time = DeliveryOptions {
        max_concurrency: 1,
        ..DeliveryOptions::default()
    };
    let bench = start(handle, one_at_a_time, false);
    for _ in 0..400 {
        bench.publish("quick", None).await;
    }
    bench.publish("slow", None).await;
    for _ in 0..20 {
        bench.publish("late", None).await;
    }
    until(|| IS_SLOW.load(Ordering::SeqCst)).await;
    let lease = Duration::from_secs(60);
    let soon = timeout(Duration::from_millis(500), bench.source.receive(20, lease));
    assert!(soon.await.is_err(), "they wait for the handler");
    let begun = tokio::time::Instant::now();
    let mut count = 0;
    while count < 20 {
        count += bench.source.receive(20, lease).await.unwrap().len();
    }
    assert!(begun.elapsed() < Duration::from_secs(1));
    bench.stop().await;
}
