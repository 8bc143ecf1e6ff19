//! The provider `gcp_pubsub` on Google's own emulator: the conformance suite, and what only Google can get wrong.
//!
//! Starts an emulator of its own on a free port; without one every test is reported ignored, and fails where
//! `UNDERLAY_REQUIRE` names `pubsub-emulator`. The emulator ignores filters and retry policies and signs no push, so filters
//! are compared as texts, and pushes are signed with keys of the tests' own.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failure is a panic, and its text for people"
)]

#[path = "gcp/emulator.rs"]
mod emulator;
#[path = "gcp/push.rs"]
mod push;

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use emulator::Emulator;
use google_cloud_auth::credentials::anonymous;
use google_cloud_pubsub::{
    client::{Publisher, SubscriptionAdmin, TopicAdmin},
    model::Message as GoogleMessage,
};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::time::timeout;
use underlay_backends::{
    ErrorKind,
    capabilities::TopicCapabilities,
    conformance::{Case, Clock, TopicHarness, TopicUnderTest, is_required, topic_cases},
    gcp::{self, Broker},
    topic::{
        Broker as _, Message, Receipt, Received, Subscription, SubscriptionOptions, Topic,
        TopicOptions,
    },
};
use underlay_model::filter::{Condition, Filter};

/// What `UNDERLAY_REQUIRE` calls the emulator.
const SERVER: &str = "pubsub-emulator";
/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Ends in no test by itself.
const LONG: Duration = Duration::from_secs(60);

/// The suite's cases that cannot pass here, with why.
const NOT_EMULATED: &[(&str, &str)] = &[];

const ORDERED: TopicOptions = TopicOptions {
    ordered: true,
    exactly_once: false,
    retention: None,
};

struct Harness {
    emulator: Arc<Emulator>,
}

#[async_trait]
impl TopicHarness for Harness {
    fn capabilities(&self) -> TopicCapabilities {
        gcp::TOPIC
    }

    fn clock(&self) -> Clock {
        Clock::Real
    }

    async fn fresh(&self, options: TopicOptions, subscriptions: &[&str]) -> TopicUnderTest {
        let broker = connect(&self.emulator).await;
        let number = fresh_number();
        let name = topic_name(number);
        let topic = broker.topic(&name, options).await.unwrap();
        let mut under_test = Vec::new();
        for subscription in subscriptions {
            let subscription = subscription_name(number, subscription);
            let options = SubscriptionOptions::default();
            under_test.push(
                broker
                    .subscription(&name, &subscription, options)
                    .await
                    .unwrap(),
            );
        }
        TopicUnderTest {
            topic,
            subscriptions: under_test,
            guard: Box::new((broker, Arc::clone(&self.emulator))),
        }
    }
}

/// A number that no other test uses.
fn fresh_number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn topic_name(number: u32) -> String {
    format!("projects/test/topics/topic-{number}")
}

fn subscription_name(number: u32, name: &str) -> String {
    format!("projects/test/subscriptions/{name}-{number}")
}

async fn connect(emulator: &Emulator) -> Broker {
    Broker::connect_to_emulator(&emulator.address, true)
        .await
        .unwrap()
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let emulator = if arguments.list {
        Err("nothing is started to list the tests".to_owned())
    } else {
        Emulator::start()
    };
    let trials = match emulator {
        Ok(emulator) => trials(&Arc::new(emulator)),
        Err(reason) => {
            let text = format!("Google's Pub/Sub emulator cannot be reached: {reason}");
            if !is_required(SERVER) {
                eprintln!("ignored: topic::gcp_pubsub: {text}");
            }
            let trial = Trial::test("topic::gcp_pubsub::reachable", move || {
                Err(Failed::from(text))
            });
            vec![trial.with_ignored_flag(!is_required(SERVER))]
        }
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trials(emulator: &Arc<Emulator>) -> Vec<Trial> {
    let cases = topic_cases(Harness {
        emulator: Arc::clone(emulator),
    });
    let mut trials: Vec<Trial> = cases.into_iter().filter_map(trial).collect();
    macro_rules! own {
        ($($($path:ident)::+,)*) => {$({
            let emulator = Arc::clone(emulator);
            let name = concat!("gcp", $("::", stringify!($path)),+);
            trials.push(Trial::test(name, move || {
                run($($path)::+(emulator));
                Ok(())
            }));
        })*};
    }
    own! {
        names_and_missing_things, gone_while_used, what_is_there_is_kept, provisioned,
        every_text, foreign_messages, cancelled_receives, order_with_two_receivers,
        order_over_retries, given_up_by_google, letters_of_a_process_that_died, foreign_receipts, closing,
        survives_a_restart_of_the_client, largest_message, large_batches, nobody_listens,
        push::tokens, push::deliveries, push::waiting,
    }
    trials
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .unwrap()
        .block_on(async { timeout(PATIENCE, test).await })
        .expect("in time");
}

/// A case as a test; none where it cannot pass here.
fn trial(case: Case) -> Option<Trial> {
    let name = format!("topic::gcp_pubsub::{}", case.name);
    if let Some(lacking) = case.lacking {
        eprintln!("not applicable: {name}: gcp_pubsub declares that it lacks {lacking}");
        return None;
    }
    if let Some((_, why)) = NOT_EMULATED.iter().find(|(not, _)| *not == case.name) {
        eprintln!("not applicable: {name}: the emulator {why}");
        return None;
    }
    Some(Trial::test(name, move || {
        run(case.run());
        Ok(())
    }))
}

/// A topic with one subscription.
struct Fresh {
    broker: Broker,
    topic_name: String,
    name: String,
    topic: Arc<dyn Topic>,
    subscription: Arc<dyn Subscription>,
}

async fn fresh(
    emulator: &Emulator,
    topic_options: TopicOptions,
    options: SubscriptionOptions,
) -> Fresh {
    let broker = connect(emulator).await;
    let number = fresh_number();
    let (topic_name, name) = (topic_name(number), subscription_name(number, "one"));
    let topic = broker.topic(&topic_name, topic_options).await.unwrap();
    let subscription = broker
        .subscription(&topic_name, &name, options)
        .await
        .unwrap();
    Fresh {
        broker,
        topic_name,
        name,
        topic,
        subscription,
    }
}

async fn plain(emulator: &Emulator) -> Fresh {
    fresh(
        emulator,
        TopicOptions::default(),
        SubscriptionOptions::default(),
    )
    .await
}

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

async fn take_one(subscription: &dyn Subscription) -> Received {
    subscription.receive(1, LONG).await.unwrap().remove(0)
}

async fn subscriptions(emulator: &Emulator) -> SubscriptionAdmin {
    let builder = SubscriptionAdmin::builder().with_endpoint(emulator.url());
    builder
        .with_credentials(anonymous::Builder::new().build())
        .build()
        .await
        .unwrap()
}

async fn topics(emulator: &Emulator) -> TopicAdmin {
    let builder = TopicAdmin::builder().with_endpoint(emulator.url());
    builder
        .with_credentials(anonymous::Builder::new().build())
        .build()
        .await
        .unwrap()
}

async fn names_and_missing_things(emulator: Arc<Emulator>) {
    let broker = Broker::connect_to_emulator(&emulator.address, false)
        .await
        .unwrap();
    for name in [
        "",
        "orders",
        "projects/test/subscriptions/orders",
        "projects/test/topics/a b",
    ] {
        let error = broker
            .topic(name, TopicOptions::default())
            .await
            .err()
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    }
    let number = fresh_number();
    let (topic, name) = (topic_name(number), subscription_name(number, "one"));
    let error = broker
        .topic(&topic, TopicOptions::default())
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let hint = format!("`gcloud pubsub topics create topic-{number} --project test`");
    assert!(error.to_string().contains(&hint), "{error}");
    let subscribe = || broker.subscription(&topic, &name, SubscriptionOptions::default());
    let error = subscribe().await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    let creating = connect(&emulator).await;
    creating
        .topic(&topic, TopicOptions::default())
        .await
        .unwrap();
    broker.topic(&topic, TopicOptions::default()).await.unwrap();
    // First what the subscription names.
    let error = subscribe().await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(
        error
            .to_string()
            .contains(&format!("topics create one-{number}-dead")),
        "{error}"
    );
    let dead = format!("projects/test/topics/one-{number}-dead");
    creating
        .topic(&dead, TopicOptions::default())
        .await
        .unwrap();
    let error = subscribe().await.err().unwrap();
    assert!(
        error
            .to_string()
            .contains(&format!("subscriptions create one-{number}-dead"))
    );
    creating
        .subscription(&topic, &name, SubscriptionOptions::default())
        .await
        .unwrap();
    let admin = subscriptions(&emulator).await;
    admin
        .delete_subscription()
        .set_subscription(&name)
        .send()
        .await
        .unwrap();
    let error = subscribe().await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let hint = format!("subscriptions create one-{number} --project test --topic {topic}");
    assert!(error.to_string().contains(&hint), "{error}");
}

async fn gone_while_used(emulator: Arc<Emulator>) {
    let fresh = plain(&emulator).await;
    let subscription = Arc::clone(&fresh.subscription);
    let receiving = tokio::spawn(async move { subscription.receive(1, LONG).await });
    tokio::task::yield_now().await;
    let admin = subscriptions(&emulator).await;
    admin
        .delete_subscription()
        .set_subscription(&fresh.name)
        .send()
        .await
        .unwrap();
    let error = receiving.await.unwrap().expect_err("no subscription");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    topics(&emulator)
        .await
        .delete_topic()
        .set_topic(&fresh.topic_name)
        .send()
        .await
        .unwrap();
    let error = fresh
        .topic
        .publish(message("lost"))
        .await
        .expect_err("no topic");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    // It is back: the same handle receives.
    let broker = connect(&emulator).await;
    let topic = broker
        .topic(&fresh.topic_name, TopicOptions::default())
        .await
        .unwrap();
    let options = SubscriptionOptions::default();
    broker
        .subscription(&fresh.topic_name, &fresh.name, options)
        .await
        .unwrap();
    topic.publish(message("again")).await.unwrap();
    assert_eq!(
        take_one(&*fresh.subscription).await.message,
        message("again")
    );
}

async fn what_is_there_is_kept(emulator: Arc<Emulator>) {
    let fresh = plain(&emulator).await;
    let again = SubscriptionOptions {
        lease: Duration::from_secs(300),
        ..SubscriptionOptions::default()
    };
    let (topic, name) = (&fresh.topic_name, &fresh.name);
    fresh
        .broker
        .subscription(topic, name, again.clone())
        .await
        .unwrap();
    let admin = subscriptions(&emulator).await;
    let there = admin
        .get_subscription()
        .set_subscription(name)
        .send()
        .await
        .unwrap();
    assert_eq!(there.ack_deadline_seconds, 30);
    // What cannot be what it is to be is an error that says what to do.
    let other = topic_name(fresh_number());
    fresh
        .broker
        .topic(&other, TopicOptions::default())
        .await
        .unwrap();
    let error = fresh
        .broker
        .subscription(&other, name, again.clone())
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::PreconditionFailed, "{error}");
    for (ordered, exactly_once, hint) in [
        (true, false, "--enable-message-ordering"),
        (false, true, "--enable-exactly-once"),
    ] {
        let options = TopicOptions {
            ordered,
            exactly_once,
            retention: None,
        };
        fresh.broker.topic(topic, options).await.unwrap();
        let error = fresh
            .broker
            .subscription(topic, name, again.clone())
            .await
            .err()
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::PreconditionFailed, "{error}");
        assert!(error.to_string().contains(hint), "{error}");
    }
}

async fn provisioned(emulator: Arc<Emulator>) {
    let filter = BTreeMap::from([("c".to_owned(), Condition::AnyOf(vec!["DE".to_owned()]))]);
    let options = SubscriptionOptions {
        lease: Duration::from_millis(1500),
        retention: Some(Duration::from_secs(60)),
        max_deliveries: Some(7),
        filter: Filter(filter),
    };
    let topic_options = TopicOptions {
        ordered: true,
        exactly_once: true,
        retention: None,
    };
    let fresh = fresh(&emulator, topic_options, options.clone()).await;
    let admin = subscriptions(&emulator).await;
    let there = admin
        .get_subscription()
        .set_subscription(&fresh.name)
        .send()
        .await
        .unwrap();
    assert!(there.enable_message_ordering && there.enable_exactly_once_delivery);
    assert_eq!(there.ack_deadline_seconds, 10);
    assert_eq!(there.message_retention_duration.unwrap().seconds(), 600);
    assert_eq!(there.filter, r#"attributes:"c" AND attributes."c" = "DE""#);
    let dead = there.dead_letter_policy.unwrap();
    assert_eq!(dead.max_delivery_attempts, 7);
    let dead_topic = fresh.name.replace("/subscriptions/", "/topics/") + "-dead";
    assert_eq!(dead.dead_letter_topic, dead_topic);
    let dead_name = fresh.name.clone() + "-dead";
    let letters = admin
        .get_subscription()
        .set_subscription(&dead_name)
        .send()
        .await
        .unwrap();
    assert_eq!(letters.topic, dead_topic);
}

async fn every_text(emulator: Arc<Emulator>) {
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
async fn foreign_messages(emulator: Arc<Emulator>) {
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

/// However often receiving is given up, and whenever: each message comes, long before a lease ends.
async fn cancelled_receives(emulator: Arc<Emulator>) {
    let fresh = plain(&emulator).await;
    let mut missing = BTreeSet::new();
    let mut round: u64 = 0;
    for _ in 0..200 {
        missing.insert(fresh.topic.publish(message("one")).await.unwrap());
        round += 1;
        let time = Duration::from_micros(round * 37 % 3000);
        if let Ok(received) = timeout(time, fresh.subscription.receive(3, LONG)).await {
            for received in received.unwrap() {
                assert_eq!(received.attempt, 1);
                fresh.subscription.ack(&received.receipt).await.unwrap();
                missing.remove(&received.id);
            }
        }
    }
    while !missing.is_empty() {
        for received in fresh.subscription.receive(10, LONG).await.unwrap() {
            fresh.subscription.ack(&received.receipt).await.unwrap();
            missing.remove(&received.id);
        }
    }
}

/// Two programs receive from one ordered subscription: of each key one message at a time, in order.
async fn order_with_two_receivers(emulator: Arc<Emulator>) {
    const EACH: usize = 20;
    let fresh = fresh(&emulator, ORDERED, SubscriptionOptions::default()).await;
    let other = connect(&emulator).await;
    other.topic(&fresh.topic_name, ORDERED).await.unwrap();
    let options = SubscriptionOptions::default();
    let other = other
        .subscription(&fresh.topic_name, &fresh.name, options)
        .await
        .unwrap();
    let seen = Arc::new(std::sync::Mutex::new(BTreeMap::<String, Vec<usize>>::new()));
    let receive = |subscription: Arc<dyn Subscription>| {
        let seen = Arc::clone(&seen);
        async move {
            loop {
                for received in subscription.receive(4, LONG).await.unwrap() {
                    let number = std::str::from_utf8(&received.message.body).unwrap();
                    let number: usize = number.parse().unwrap();
                    let key = received.message.ordering_key.unwrap();
                    // The second message of each key fails once.
                    if number == 1 && received.attempt == 1 {
                        let delay = Duration::from_millis(20);
                        subscription.nack(&received.receipt, delay).await.unwrap();
                        continue;
                    }
                    let done = {
                        let mut seen = seen.lock().unwrap();
                        seen.entry(key).or_default().push(number);
                        seen.values().map(Vec::len).sum::<usize>() >= 4 * EACH
                    };
                    subscription.ack(&received.receipt).await.unwrap();
                    if done {
                        return;
                    }
                }
            }
        }
    };
    let publish = async {
        for number in 0..EACH {
            let batch = ["a", "b", "c", "d"].map(|key| keyed(key, &number.to_string()));
            fresh.topic.publish_batch(batch.to_vec()).await.unwrap();
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = receive(Arc::clone(&fresh.subscription)) => {}
        () = receive(other) => {}
        () = publish => {}
    }
    let seen = seen.lock().unwrap();
    for numbers in seen.values() {
        assert_eq!(*numbers, (0..EACH).collect::<Vec<_>>());
    }
}

async fn order_over_retries(emulator: Arc<Emulator>) {
    let fresh = fresh(&emulator, ORDERED, SubscriptionOptions::default()).await;
    let batch = (0..5).map(|number| keyed("a", &number.to_string()));
    let ids = fresh.topic.publish_batch(batch.collect()).await.unwrap();
    for id in ids {
        for attempt in 1..=3 {
            // By a nack and by a lease that ends.
            let lease = if attempt == 1 {
                LONG
            } else {
                Duration::from_millis(50)
            };
            let received = fresh.subscription.receive(10, lease).await.unwrap();
            assert_eq!(received.len(), 1);
            assert_eq!((&received[0].id, received[0].attempt), (&id, attempt));
            match attempt {
                1 => fresh
                    .subscription
                    .nack(&received[0].receipt, Duration::ZERO)
                    .await
                    .unwrap(),
                3 => fresh.subscription.ack(&received[0].receipt).await.unwrap(),
                _ => {}
            }
        }
    }
}

async fn given_up_by_google(emulator: Arc<Emulator>) {
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
async fn letters_of_a_process_that_died(emulator: Arc<Emulator>) {
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

async fn foreign_receipts(emulator: Arc<Emulator>) {
    let (one, other) = (plain(&emulator).await, plain(&emulator).await);
    one.topic.publish(message("one")).await.unwrap();
    let receipt = take_one(&*one.subscription).await.receipt;
    for receipt in [receipt, Receipt("0-0".to_owned()), Receipt(String::new())] {
        for result in [
            other.subscription.ack(&receipt).await,
            other.subscription.nack(&receipt, LONG).await,
            other.subscription.extend(&receipt, LONG).await,
            other.subscription.dead_letter(&receipt, "bad").await,
        ] {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidArgument);
        }
    }
}

async fn closing(emulator: Arc<Emulator>) {
    let fresh = plain(&emulator).await;
    let receiving = tokio::spawn(async move { fresh.subscription.receive(1, LONG).await });
    tokio::task::yield_now().await;
    fresh.broker.close().await.unwrap();
    let error = receiving.await.unwrap().expect_err("closed");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let error = fresh.topic.publish(message("late")).await;
    assert_eq!(error.expect_err("closed").kind(), ErrorKind::Unavailable);
}

/// What was acknowledged before the end stays so; what was not comes again.
async fn survives_a_restart_of_the_client(emulator: Arc<Emulator>) {
    // The emulator goes on delivering to a stream that is closed, so the shortest lease has to end.
    let options = SubscriptionOptions {
        lease: Duration::from_secs(10),
        ..SubscriptionOptions::default()
    };
    let fresh = fresh(&emulator, TopicOptions::default(), options.clone()).await;
    let batch = (0..10).map(|number| message(&number.to_string()));
    let ids = fresh.topic.publish_batch(batch.collect()).await.unwrap();
    let mut open: BTreeSet<String> = ids.into_iter().collect();
    for _ in 0..4 {
        let received = take_one(&*fresh.subscription).await;
        fresh.subscription.ack(&received.receipt).await.unwrap();
        open.remove(&received.id);
    }
    // One with a receiver, the others waiting.
    take_one(&*fresh.subscription).await;
    fresh.broker.close().await.unwrap();
    let broker = Broker::connect_to_emulator(&emulator.address, false)
        .await
        .unwrap();
    broker
        .topic(&fresh.topic_name, TopicOptions::default())
        .await
        .unwrap();
    let subscription = broker
        .subscription(&fresh.topic_name, &fresh.name, options)
        .await
        .unwrap();
    let mut again = BTreeSet::new();
    while again.len() < open.len() {
        again.insert(take_one(&*subscription).await.id);
    }
    assert_eq!(again, open);
}

async fn largest_message(emulator: Arc<Emulator>) {
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

async fn large_batches(emulator: Arc<Emulator>) {
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

/// An address where nothing answers is an error that a caller may try again after, not a panic or a wait for ever.
async fn nobody_listens(_: Arc<Emulator>) {
    let error = match Broker::connect_to_emulator("127.0.0.1:1", true).await {
        Ok(broker) => broker
            .topic("projects/test/topics/none", TopicOptions::default())
            .await
            .err(),
        Err(error) => Some(error),
    };
    let error = error.unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let wrong = Broker::connect_to_emulator("https://127.0.0.1:1", true).await;
    assert_eq!(wrong.err().unwrap().kind(), ErrorKind::InvalidArgument);
}
