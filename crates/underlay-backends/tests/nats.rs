//! The provider `nats` on a real server: the conformance suite, and what only NATS can get wrong.
//!
//! Starts a server of its own on a free port in a temporary folder; without the program `nats-server` every test is
//! reported ignored, and fails where `UNDERLAY_REQUIRE` names `nats`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a failure is a panic, and its text for people"
)]

#[path = "nats/kept.rs"]
mod kept;
#[path = "nats/ordered.rs"]
mod ordered;
mod process;
#[path = "nats/server.rs"]
mod server;
mod support;

use std::{
    collections::BTreeMap,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use libtest_mimic::{Arguments, Trial};
use tokio::time::timeout;
use underlay_backends::{
    ErrorKind,
    capabilities::TopicCapabilities,
    conformance::{Clock, TopicHarness, TopicUnderTest, topic_cases},
    nats::{self, Broker},
    topic::{Message, Received, Subscription, SubscriptionOptions, Topic, TopicOptions},
};

use crate::{
    server::Server,
    support::{run, trial, unreachable},
};

/// Ends in no test by itself.
const LONG: Duration = Duration::from_secs(60);

/// A name that no other test uses.
fn fresh_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("topic_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn subscribe(lease: Duration) -> SubscriptionOptions {
    SubscriptionOptions {
        lease,
        ..SubscriptionOptions::default()
    }
}

/// A connection that creates what is missing.
async fn connect(server: &Server) -> Broker {
    Broker::connect(&server.address, true).await.unwrap()
}

struct Harness {
    server: Arc<Server>,
    /// The consumers' own lease.
    lease: Duration,
}

#[async_trait]
impl TopicHarness for Harness {
    fn capabilities(&self) -> TopicCapabilities {
        nats::TOPIC
    }

    fn clock(&self) -> Clock {
        Clock::Real
    }

    async fn fresh(&self, options: TopicOptions, subscriptions: &[&str]) -> TopicUnderTest {
        let broker = connect(&self.server).await;
        let name = fresh_name();
        let topic = broker.topic(&name, supported(options)).await.unwrap();
        let mut under_test = Vec::new();
        for subscription in subscriptions {
            let subscription = broker.subscription(&name, subscription, subscribe(self.lease));
            under_test.push(subscription.await.unwrap());
        }
        TopicUnderTest {
            topic,
            subscriptions: under_test,
            guard: Box::new((broker, Arc::clone(&self.server))),
        }
    }
}

/// What a case asks for, as far as it is declared to be possible: cases that do not need all of it run in any case.
fn supported(options: TopicOptions) -> TopicOptions {
    TopicOptions {
        ordered: options.ordered && nats::TOPIC.ordering,
        exactly_once: options.exactly_once && nats::TOPIC.exactly_once,
        ..options
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let server = if arguments.list {
        Err("nothing is started to list the tests".to_owned())
    } else {
        Server::start("")
    };
    let trials = match server {
        Ok(server) => trials(Arc::new(server)),
        Err(reason) => vec![unreachable("topic::nats", "nats", &reason)],
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trials(server: Arc<Server>) -> Vec<Trial> {
    let mut trials = Vec::new();
    // Leases that are the consumer's own, and leases that are always others.
    let own = Clock::Real.unit() * 20;
    for (suite, lease) in [("topic::nats", own), ("topic::nats_other_lease", LONG)] {
        let server = Arc::clone(&server);
        let cases = topic_cases(Harness { server, lease });
        trials.extend(
            cases
                .into_iter()
                .filter_map(|case| trial(suite, Clock::Real, case)),
        );
    }
    macro_rules! own {
        ($($name:path,)*) => {$({
            let server = Arc::clone(&server);
            let name = concat!("nats::", stringify!($name)).replace(' ', "");
            trials.push(Trial::test(name, move || {
                run(Clock::Real, $name(server))
            }));
        })*};
    }
    own! {
        impossible_names, missing_things, wrong_streams_and_consumers, existing_consumer,
        every_text, foreign_messages, kept::foreign_ids, cancelled_receives,
        kept::dead_letters_once, foreign_receipts, kept::delayed_while_nobody_receives,
        kept::no_delays, passwords, survives_a_restart_of_the_client, restarted_server, closing,
        large_batches, ordered::only_the_first_of_a_key,
        ordered::vanished_receivers, ordered::given_up, ordered::restarted_servers,
        ordered::full_window, ordered::lost_deliveries, ordered::missing_consumer,
        different_options,
    }
    trials
}

/// A topic with one subscription.
struct Fresh {
    broker: Broker,
    name: String,
    topic: Arc<dyn Topic>,
    subscription: Arc<dyn Subscription>,
}

async fn fresh(server: &Server) -> Fresh {
    let broker = connect(server).await;
    let name = fresh_name();
    let topic = broker.topic(&name, TopicOptions::default()).await.unwrap();
    let subscription = broker.subscription(&name, "one", subscribe(LONG)).await;
    Fresh {
        broker,
        name,
        topic,
        subscription: subscription.unwrap(),
    }
}

fn message(body: &str) -> Message {
    Message {
        body: Bytes::copy_from_slice(body.as_bytes()),
        ..Message::default()
    }
}

async fn take_one(subscription: &dyn Subscription) -> Received {
    subscription.receive(1, LONG).await.unwrap().remove(0)
}

async fn impossible_names(server: Arc<Server>) {
    let broker = connect(&server).await;
    for name in ["", "a.b", "a b", "a*", ">", "ü"] {
        let error = broker
            .topic(name, TopicOptions::default())
            .await
            .err()
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    }
}

async fn missing_things(server: Arc<Server>) {
    let nothing_made = Broker::connect(&server.address, false).await.unwrap();
    let broker = connect(&server).await;
    let name = fresh_name();
    let topic = nothing_made.topic(&name, TopicOptions::default()).await;
    let error = topic.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let hint = format!("`nats stream add {name} --subjects '{name}'");
    assert!(error.to_string().contains(&hint), "{error}");
    let error = broker.subscription(&name, "one", subscribe(LONG)).await;
    assert_eq!(error.err().unwrap().kind(), ErrorKind::NotFound);
    let topic = broker.topic(&name, TopicOptions::default()).await.unwrap();
    let again = nothing_made.topic(&name, TopicOptions::default()).await;
    again.unwrap();
    let error = nothing_made.subscription(&name, "one", subscribe(LONG));
    let error = error.await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let hint = format!("`nats consumer add {name} one --pull");
    assert!(error.to_string().contains(&hint), "{error}");
    // Gone while it is used.
    let subscription = broker.subscription(&name, "one", subscribe(LONG)).await;
    let subscription = subscription.unwrap();
    let streams = jetstream(&server).await;
    let receiving = tokio::spawn(async move { subscription.receive(1, LONG).await });
    tokio::task::yield_now().await;
    streams.delete_stream(&name).await.unwrap();
    let error = receiving.await.unwrap().expect_err("no consumer");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let error = topic.publish(message("lost")).await.expect_err("no stream");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

async fn jetstream(server: &Server) -> async_nats::jetstream::Context {
    async_nats::jetstream::new(async_nats::connect(&server.address).await.unwrap())
}

async fn wrong_streams_and_consumers(server: Arc<Server>) {
    use async_nats::jetstream::{consumer, stream};
    let streams = jetstream(&server).await;
    let broker = connect(&server).await;
    for (subject, retention) in [
        ("elsewhere", stream::RetentionPolicy::Limits),
        ("", stream::RetentionPolicy::WorkQueue),
    ] {
        let name = fresh_name();
        let subject = if subject.is_empty() { &name } else { subject };
        let config = stream::Config {
            name: name.clone(),
            subjects: vec![subject.to_owned()],
            retention,
            ..stream::Config::default()
        };
        streams.create_stream(config).await.unwrap();
        let error = broker
            .topic(&name, TopicOptions::default())
            .await
            .err()
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::PreconditionFailed, "{error}");
    }
    let name = fresh_name();
    let config = stream::Config {
        name: name.clone(),
        duplicate_window: Duration::from_secs(1),
        ..stream::Config::default()
    };
    streams.create_stream(config).await.unwrap();
    let once = TopicOptions {
        exactly_once: true,
        ..TopicOptions::default()
    };
    let error = broker.topic(&name, once).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::PreconditionFailed, "{error}");
    broker.topic(&name, TopicOptions::default()).await.unwrap();
    let error = broker.topic(&name, once).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::PreconditionFailed, "{error}");
    let name = fresh_name();
    broker.topic(&name, TopicOptions::default()).await.unwrap();
    let config = consumer::pull::Config {
        durable_name: Some("gives-up".to_owned()),
        ack_policy: consumer::AckPolicy::Explicit,
        max_deliver: 3,
        ..consumer::pull::Config::default()
    };
    let created = streams.create_consumer_on_stream(config, &name).await;
    created.unwrap();
    let error = broker
        .subscription(&name, "gives-up", subscribe(LONG))
        .await;
    let error = error.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::PreconditionFailed, "{error}");
}

/// One broker cannot have a topic in two ways.
async fn different_options(server: Arc<Server>) {
    let Fresh { name, broker, .. } = fresh(&server).await;
    let ordered = TopicOptions {
        ordered: true,
        ..TopicOptions::default()
    };
    let error = broker.topic(&name, ordered).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    broker.topic(&name, TopicOptions::default()).await.unwrap();
}

/// A second program, which creates nothing, shares the messages.
async fn existing_consumer(server: Arc<Server>) {
    let Fresh { name, topic, .. } = fresh(&server).await;
    let broker = Broker::connect(&server.address, false).await.unwrap();
    let again = broker.topic(&name, TopicOptions::default()).await.unwrap();
    let subscription = broker.subscription(&name, "one", subscribe(LONG)).await;
    let subscription = subscription.unwrap();
    topic.publish(message("one")).await.unwrap();
    again.publish(message("two")).await.unwrap();
    assert_eq!(take_one(&*subscription).await.message, message("one"));
    assert_eq!(take_one(&*subscription).await.message, message("two"));
}

async fn every_text(server: Arc<Server>) {
    let fresh = fresh(&server).await;
    let texts = [
        "",
        " ",
        " a  b ",
        "a:b",
        "ü\r\nNats-Msg-Id: 1",
        "%41",
        "\0\u{7f}",
        "\"'\\",
    ];
    let attributes: BTreeMap<String, String> = texts
        .iter()
        .map(|text| ((*text).to_owned(), (*text).to_owned()))
        .collect();
    for key in texts {
        let message = Message {
            body: Bytes::from_static(b"body"),
            attributes: attributes.clone(),
            ordering_key: Some(key.to_owned()),
            delay: None,
            id: None,
        };
        fresh.topic.publish(message.clone()).await.unwrap();
        let received = take_one(&*fresh.subscription).await;
        assert_eq!(received.message, message);
        let reason = format!("because of {key}");
        let buried = fresh.subscription.dead_letter(&received.receipt, &reason);
        buried.await.unwrap();
        let letter = fresh.subscription.dead_letters(100).await.unwrap().pop();
        let letter = letter.unwrap();
        assert_eq!((letter.message, letter.reason), (message, reason));
    }
}

/// Other clients know nothing of our headers.
async fn foreign_messages(server: Arc<Server>) {
    let fresh = fresh(&server).await;
    let streams = jetstream(&server).await;
    let stored = streams.publish(fresh.name.clone(), "plain".into()).await;
    let stored = stored.unwrap().await.unwrap();
    let received = take_one(&*fresh.subscription).await;
    assert_eq!(received.message, message("plain"));
    assert_eq!(received.id, stored.sequence.to_string());
    fresh.subscription.ack(&received.receipt).await.unwrap();
}

/// However often receiving is given up, and whenever: each message comes, long before a lease ends.
async fn cancelled_receives(server: Arc<Server>) {
    let fresh = fresh(&server).await;
    let mut missing = std::collections::BTreeSet::new();
    let mut round: u64 = 0;
    for _ in 0..200 {
        missing.insert(fresh.topic.publish(message("one")).await.unwrap());
        round += 1;
        let time = Duration::from_micros(round * 37 % 3000);
        if let Ok(received) = timeout(time, fresh.subscription.receive(3, LONG)).await {
            for received in received.unwrap() {
                fresh.subscription.ack(&received.receipt).await.unwrap();
                missing.remove(&received.id);
            }
        }
    }
    // Without a lost message the leases of a minute need not end.
    while !missing.is_empty() {
        for received in fresh.subscription.receive(10, LONG).await.unwrap() {
            fresh.subscription.ack(&received.receipt).await.unwrap();
            missing.remove(&received.id);
        }
    }
}

/// A receipt is a subject; none but the subscription's own is sent anything.
async fn foreign_receipts(server: Arc<Server>) {
    let one = fresh(&server).await;
    let other = fresh(&server).await;
    one.topic.publish(message("one")).await.unwrap();
    let received = take_one(&*one.subscription).await;
    let error = other.subscription.ack(&received.receipt).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidArgument);
    let subject = underlay_backends::topic::Receipt(other.name.clone());
    for result in [
        other.subscription.nack(&subject, LONG).await,
        other.subscription.extend(&subject, LONG).await,
        other.subscription.dead_letter(&subject, "bad").await,
    ] {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}

async fn passwords(_: Arc<Server>) {
    let server =
        Server::start("authorization { user: service, password: \"right horse\" }").unwrap();
    let right = format!("nats://service:right%20horse@{}", server.address);
    Broker::connect(&right, false).await.unwrap();
    let two = format!("{right},service:hunter2@{}", server.address);
    let wrong = format!("service:hunter2@{}", server.address);
    let nobody = "service:hunter2@127.0.0.1:1";
    for (hosts, kind) in [
        (&*wrong, ErrorKind::PermissionDenied),
        (nobody, ErrorKind::Unavailable),
        (&*two, ErrorKind::InvalidArgument),
        ("service:hunter2@:x", ErrorKind::InvalidArgument),
        ("ws://service:hunter2@127.0.0.1", ErrorKind::InvalidArgument),
        ("a,,service:hunter2@b", ErrorKind::InvalidArgument),
    ] {
        let error = Broker::connect(hosts, false).await.err().unwrap();
        assert_eq!(error.kind(), kind, "{error}");
        let mut text = format!("{error} {error:?}");
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text += &cause.to_string();
            source = cause.source();
        }
        assert!(!text.contains("hunter2"), "{text}");
    }
    // A server without TLS that is asked for it is an error, not a panic.
    let error = Broker::connect(&format!("tls://{}", server.address), false).await;
    assert!(error.is_err());
}

async fn survives_a_restart_of_the_client(server: Arc<Server>) {
    let fresh = fresh(&server).await;
    let id = fresh.topic.publish(message("one")).await.unwrap();
    fresh.broker.close().await.unwrap();
    let broker = connect(&server).await;
    let topic = broker.topic(&fresh.name, TopicOptions::default()).await;
    topic.unwrap();
    let subscription = broker.subscription(&fresh.name, "one", subscribe(LONG));
    let subscription = subscription.await;
    assert_eq!(take_one(&*subscription.unwrap()).await.id, id);
}

/// A receive that waits while the server is killed and started again gets what is published afterwards; what was stored
/// before is there.
async fn restarted_server(_: Arc<Server>) {
    let server = Server::start("").unwrap();
    let fresh = fresh(&server).await;
    let first = fresh.topic.publish(message("first")).await.unwrap();
    let received = take_one(&*fresh.subscription).await;
    assert_eq!(received.id, first);
    let subscription = Arc::clone(&fresh.subscription);
    let receiving = tokio::spawn(async move {
        // The connection may be found to be lost; the caller asks again.
        loop {
            match subscription.receive(1, LONG).await {
                Ok(mut received) => return received.remove(0),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
            }
        }
    });
    tokio::task::yield_now().await;
    server.restart();
    let second = loop {
        match fresh.topic.publish(message("second")).await {
            Ok(id) => break id,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
        }
    };
    assert_eq!(receiving.await.unwrap().id, second);
    fresh.subscription.ack(&received.receipt).await.unwrap();
}

async fn closing(server: Arc<Server>) {
    let fresh = fresh(&server).await;
    let receiving = tokio::spawn(async move { fresh.subscription.receive(1, LONG).await });
    tokio::task::yield_now().await;
    fresh.broker.close().await.unwrap();
    let error = receiving.await.unwrap().expect_err("closed");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let error = fresh.topic.publish(message("late")).await;
    assert_eq!(error.expect_err("closed").kind(), ErrorKind::Unavailable);
}

async fn large_batches(server: Arc<Server>) {
    let fresh = fresh(&server).await;
    let batch: Vec<Message> = (0..1000)
        .map(|number| message(&number.to_string()))
        .collect();
    let ids = fresh.topic.publish_batch(batch.clone()).await.unwrap();
    let mut received = Vec::new();
    while received.len() < batch.len() {
        received.extend(fresh.subscription.receive(300, LONG).await.unwrap());
    }
    for ((received, id), message) in received.iter().zip(ids).zip(batch) {
        assert_eq!((&received.id, &received.message), (&id, &message));
    }
}
