//! The provider `aws_sns_sqs` on two independent emulators, LocalStack and moto: the conformance suite on each, and what
//! only SNS and SQS can get wrong.
//!
//! Starts both itself, on free ports. One that is not installed has its tests reported ignored; they fail where
//! `UNDERLAY_REQUIRE` names `localstack` or `moto`. What an emulator does other than Amazon is listed in
//! [`NOT_APPLICABLE`], and printed. Neither of them checks queue policies, permissions or signatures.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a failure is a panic, and its text for people"
)]

#[path = "aws/emulator.rs"]
mod emulator;
#[path = "aws/own.rs"]
mod own;
mod process;
mod support;

use std::{process::ExitCode, sync::Arc};

use async_trait::async_trait;
use libtest_mimic::{Arguments, Trial};
use underlay_backends::{
    aws::{self, Broker},
    capabilities::TopicCapabilities,
    conformance::{Clock, TopicHarness, TopicUnderTest, topic_cases},
    topic::{Broker as _, SubscriptionOptions, TopicOptions},
};

use emulator::{Emulator, Kind};
use support::{not_applicable, run, trial, unreachable};

/// How many tests run at once where nothing else is asked for: they wait more than they compute.
const THREADS: usize = 8;

/// What cannot be seen on an emulator, and why: which one, the test, the reason.
const NOT_APPLICABLE: &[(Kind, &str, &str)] = &[
    (
        Kind::Moto,
        "receive_ordered",
        "a request that waits does not notice that a message group became free; `publish_batch_order` and \
         `nack_keeps_order` show the order",
    ),
    (
        Kind::Moto,
        "many_of_one_key",
        "two requests at the same moment are given messages of one group",
    ),
    (
        Kind::Moto,
        "acknowledged_together",
        "of two requests at the same moment that delete messages, one may be undone",
    ),
];

struct Harness {
    emulator: Arc<Emulator>,
}

#[async_trait]
impl TopicHarness for Harness {
    fn capabilities(&self) -> TopicCapabilities {
        aws::TOPIC
    }

    fn clock(&self) -> Clock {
        Clock::Real
    }

    async fn fresh(&self, options: TopicOptions, subscriptions: &[&str]) -> TopicUnderTest {
        let broker = self.emulator.broker(true).await;
        let is_fifo = options.ordered || options.exactly_once;
        let name = self.emulator.fresh_topic(is_fifo);
        let topic = broker.topic(&name, options).await.unwrap();
        let mut under_test = Vec::new();
        for _ in subscriptions {
            let queue = self.emulator.fresh_queue(is_fifo);
            let subscription = broker.subscription(&name, &queue, SubscriptionOptions::default());
            under_test.push(subscription.await.unwrap());
        }
        TopicUnderTest {
            topic,
            subscriptions: under_test,
            guard: Box::new((broker, Arc::clone(&self.emulator))),
        }
    }
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let mut trials = Vec::new();
    for kind in [Kind::LocalStack, Kind::Moto] {
        let emulator = if arguments.list {
            Err("nothing is started to list the tests".to_owned())
        } else {
            Emulator::start(kind).inspect(Emulator::warm_up)
        };
        match emulator {
            Ok(emulator) => trials.extend(trials_of(&Arc::new(emulator))),
            Err(reason) => trials.push(unreachable(&suite(kind), kind.name(), &reason)),
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn suite(kind: Kind) -> String {
    format!("topic::aws_sns_sqs::{}", kind.name())
}

fn trials_of(emulator: &Arc<Emulator>) -> Vec<Trial> {
    let kind = emulator.kind;
    let suite = suite(kind);
    let not_emulated = |case: &str| {
        let found = NOT_APPLICABLE
            .iter()
            .find(|it| (it.0, it.1) == (kind, case));
        found.map(|(_, _, why)| *why)
    };
    let harness = Harness {
        emulator: Arc::clone(emulator),
    };
    let mut trials = Vec::new();
    for case in topic_cases(harness) {
        match not_emulated(case.name) {
            Some(why) => not_applicable(&format!("{suite}::{}", case.name), why),
            None => trials.extend(trial(&suite, Clock::Real, case)),
        }
    }
    for (case, test) in own::TESTS {
        let name = format!("aws_sns_sqs::{}::{case}", kind.name());
        if let Some(why) = not_emulated(case) {
            eprintln!("not applicable: {name}: {why}");
        } else {
            let emulator = Arc::clone(emulator);
            trials.push(Trial::test(name, move || run(Clock::Real, test(emulator))));
        }
    }
    trials
}

impl Emulator {
    /// Waits until it answers: it says that it is there before it has read what it needs for the first call.
    fn warm_up(&self) {
        let first = async {
            let broker = self.broker(true).await;
            loop {
                let (topic, queue) = (self.fresh_topic(false), self.fresh_queue(false));
                let made = broker.topic(&topic, TopicOptions::default()).await;
                let options = SubscriptionOptions::default();
                match made.and(broker.subscription(&topic, &queue, options).await.map(drop)) {
                    Err(error) if error.is_retryable() => {}
                    made => return made.unwrap(),
                }
            }
        };
        run(Clock::Real, first).unwrap_or_else(|_| panic!("{} does not answer", self.kind.name()));
    }

    /// A connection to it.
    async fn broker(&self, provision: bool) -> Broker {
        let credentials = ("test", "test");
        let broker = Broker::connect_to(&self.endpoint, emulator::REGION, credentials, provision);
        broker.await.unwrap()
    }
}
