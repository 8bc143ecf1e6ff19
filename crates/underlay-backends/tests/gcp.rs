//! The provider `gcp_pubsub` on Google's own emulator: the conformance suite, and what only Google can get wrong.
//!
//! Starts an emulator of its own on a free port; without one every test is reported ignored, and fails where
//! `UNDERLAY_REQUIRE` names `pubsub-emulator`. The emulator ignores filters and retry policies and signs no push, so filters
//! are compared as texts, and pushes are signed with keys of the tests' own.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a failure is a panic, and its text for people"
)]

#[path = "gcp/emulator.rs"]
mod emulator;
#[path = "gcp/existing.rs"]
mod existing;
#[path = "gcp/messages.rs"]
mod messages;
mod process;
#[path = "gcp/push.rs"]
mod push;
#[path = "gcp/receiving.rs"]
mod receiving;
mod support;

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
use libtest_mimic::{Arguments, Trial};
use support::{run, trial, unreachable};
use tokio::time::timeout;
use underlay_backends::{
    ErrorKind,
    capabilities::TopicCapabilities,
    conformance::{Clock, TopicHarness, TopicUnderTest, topic_cases},
    gcp::{self, Broker},
    topic::{
        Broker as _, Message, Receipt, Received, Subscription, SubscriptionOptions, Topic,
        TopicOptions,
    },
};
use underlay_model::filter::{Condition, Filter};

const SUITE: &str = "topic::gcp_pubsub";
/// What `UNDERLAY_REQUIRE` calls the emulator.
const SERVER: &str = "pubsub-emulator";
/// Ends in no test by itself.
const LONG: Duration = Duration::from_secs(60);

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
        Err(reason) => vec![unreachable(SUITE, SERVER, &reason)],
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trials(emulator: &Arc<Emulator>) -> Vec<Trial> {
    let cases = topic_cases(Harness {
        emulator: Arc::clone(emulator),
    });
    let mut trials: Vec<Trial> = cases
        .into_iter()
        .filter_map(|case| trial(SUITE, Clock::Real, case))
        .collect();
    macro_rules! own {
        ($($($path:ident)::+,)*) => {$({
            let emulator = Arc::clone(emulator);
            let name = concat!("gcp", $("::", stringify!($path)),+);
            trials.push(Trial::test(name, move || {
                run(Clock::Real, $($path)::+(emulator))
            }));
        })*};
    }
    own! {
        existing::names_and_missing_things, existing::gone_while_used,
        existing::what_is_there_is_kept, existing::provisioned, existing::nobody_listens,
        receiving::cancelled_receives, receiving::order_with_two_receivers,
        receiving::order_over_retries, receiving::foreign_receipts, receiving::closing,
        receiving::survives_a_restart_of_the_client, receiving::counted_here,
        receiving::leases_longer_than_googles, messages::every_text, messages::foreign_messages,
        messages::given_up_by_google, messages::letters_of_a_process_that_died,
        messages::largest_message, messages::large_batches, push::tokens, push::deliveries,
        push::waiting,
    }
    trials
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
