//! What a topic and a subscription need at Google: checked, and created where that is asked for.
//!
//! What is there is never changed.

use std::time::Duration;

use google_cloud_gax::{
    exponential_backoff::ExponentialBackoff,
    options::RequestOptionsBuilder as _,
    retry_policy::{Aip194Strict, RetryPolicyExt as _},
};
use google_cloud_pubsub::{
    client::{SubscriptionAdmin, TopicAdmin},
    model::{
        DeadLetterPolicy, ExpirationPolicy, PushConfig, RetryPolicy,
        Subscription as GoogleSubscription, push_config::OidcToken,
    },
};
use google_cloud_wkt::Duration as GoogleDuration;

use crate::{
    Error, ErrorKind, Result,
    gcp::{PROVIDER, error, filter, names, push::PushOptions},
    topic::{SubscriptionOptions, TopicOptions},
};

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(15);
/// How often a call is tried that Google could not answer.
const ATTEMPTS: u32 = 3;
/// What Google takes as the time that messages are kept.
const RETENTION: (Duration, Duration) = (
    Duration::from_secs(600),
    Duration::from_secs(31 * 24 * 3600),
);
/// What Google takes as a lease.
const LEASE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(600));
/// After how many deliveries Google gives a message up by itself, at least and at most.
const MAX_DELIVERIES: (u32, u32) = (5, 100);

/// The clients that create and look.
#[derive(Clone)]
pub(super) struct Admin {
    pub(super) topics: TopicAdmin,
    pub(super) subscriptions: SubscriptionAdmin,
    /// Creates what is missing.
    pub(super) provision: bool,
}

/// A subscription as it is to be.
pub(super) struct Wanted<'a> {
    pub(super) topic: &'a str,
    pub(super) name: &'a str,
    pub(super) topic_options: TopicOptions,
    pub(super) options: &'a SubscriptionOptions,
    /// Present for one that Google pushes.
    pub(super) push: Option<&'a PushOptions>,
}

/// A lease that Google takes, as near as possible.
pub(super) fn lease(lease: Duration) -> Duration {
    // Google counts whole seconds; a shorter lease than asked for would end too early.
    let whole = Duration::from_secs(lease.as_secs() + u64::from(lease.subsec_nanos() > 0));
    whole.clamp(LEASE.0, LEASE.1)
}

fn retention(retention: Option<Duration>) -> GoogleDuration {
    // Google keeps nothing for ever.
    let time = retention
        .unwrap_or(RETENTION.1)
        .clamp(RETENTION.0, RETENTION.1);
    GoogleDuration::clamp(i64::try_from(time.as_secs()).unwrap_or(i64::MAX), 0)
}

macro_rules! patient {
    ($request:expr) => {
        $request
            .with_attempt_timeout(ANSWER)
            .with_retry_policy(Aip194Strict.with_attempt_limit(ATTEMPTS))
            .with_backoff_policy(ExponentialBackoff::default())
            .with_idempotency(true)
    };
}

impl Admin {
    /// Checks that a topic is there.
    pub(super) async fn ensure_topic(&self, name: &str) -> Result<()> {
        let got = patient!(self.topics.get_topic().set_topic(name))
            .send()
            .await;
        let error = match got {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if error::class(&error) != ErrorKind::NotFound {
            return Err(error::failed(name, "look for the topic", error));
        }
        if !self.provision {
            let (short, project) = (names::short(name), names::project(name));
            let text = format!(
                "the topic does not exist; create it with `gcloud pubsub topics create {short} --project {project}`, or let it be provisioned"
            );
            return Err(Error::new(ErrorKind::NotFound, PROVIDER, name, text).with_source(error));
        }
        match patient!(self.topics.create_topic().set_name(name))
            .send()
            .await
        {
            Ok(_) => Ok(()),
            // Somebody else was faster.
            Err(error) if error::class(&error) == ErrorKind::PreconditionFailed => Ok(()),
            Err(error) => Err(error::failed(name, "create the topic", error)),
        }
    }

    /// Checks that a subscription, its dead letters' topic and their subscription are there and can do what is wanted.
    pub(super) async fn ensure_subscription(&self, wanted: &Wanted<'_>) -> Result<()> {
        let dead_topic = names::dead_topic(wanted.name);
        self.ensure_topic(&dead_topic).await?;
        let dead_name = names::dead_subscription(wanted.name);
        let dead = GoogleSubscription::new()
            .set_name(&dead_name)
            .set_topic(&dead_topic)
            .set_ack_deadline_seconds(seconds(LEASE.0))
            .set_message_retention_duration(retention(wanted.options.retention))
            .set_expiration_policy(ExpirationPolicy::new());
        let dead = self.ensure(dead).await?;
        check_topic(&dead_name, &dead, &dead_topic)?;
        let there = self.ensure(described(wanted)).await?;
        check(wanted, &there)
    }

    /// A subscription as it is, created if it was missing.
    async fn ensure(&self, wanted: GoogleSubscription) -> Result<GoogleSubscription> {
        let name = wanted.name.clone();
        let request = || {
            patient!(
                self.subscriptions
                    .get_subscription()
                    .set_subscription(&name)
            )
        };
        let error = match request().send().await {
            Ok(there) => return Ok(there),
            Err(error) => error,
        };
        if error::class(&error) != ErrorKind::NotFound {
            return Err(error::failed(&name, "look for the subscription", error));
        }
        if !self.provision {
            let text = format!(
                "the subscription does not exist; create it with `{}`, or let it be provisioned",
                command(&wanted)
            );
            return Err(Error::new(ErrorKind::NotFound, PROVIDER, name, text).with_source(error));
        }
        match patient!(
            self.subscriptions
                .create_subscription()
                .with_request(wanted)
        )
        .send()
        .await
        {
            Ok(created) => Ok(created),
            // Somebody else was faster.
            Err(error) if error::class(&error) == ErrorKind::PreconditionFailed => {
                let there = request().send().await;
                there.map_err(|error| error::failed(&name, "look for the subscription", error))
            }
            Err(error) => Err(error::failed(&name, "create the subscription", error)),
        }
    }
}

fn seconds(time: Duration) -> i32 {
    i32::try_from(time.as_secs()).unwrap_or(i32::MAX)
}

/// The subscription that is created.
fn described(wanted: &Wanted<'_>) -> GoogleSubscription {
    let options = wanted.options;
    let most = options.max_deliveries.unwrap_or(MAX_DELIVERIES.1);
    let most = most.clamp(MAX_DELIVERIES.0, MAX_DELIVERIES.1);
    let dead = DeadLetterPolicy::new()
        .set_dead_letter_topic(names::dead_topic(wanted.name))
        .set_max_delivery_attempts(i32::try_from(most).unwrap_or(i32::MAX));
    let mut filter = filter::text(&options.filter);
    if filter.len() > filter::LONGEST {
        tracing::warn!(
            target: "underlay",
            subscription = wanted.name,
            bytes = filter.len(),
            "the filter is longer than the {} bytes that Google takes; the subscription gets every message, and those that it does not want are acknowledged here",
            filter::LONGEST,
        );
        filter.clear();
    }
    let push = wanted.push.and_then(|push| {
        let token = OidcToken::new()
            .set_service_account_email(&push.service_account)
            .set_audience(&push.audience);
        let endpoint = push.endpoint.as_ref()?;
        Some(
            PushConfig::new()
                .set_push_endpoint(endpoint)
                .set_oidc_token(token),
        )
    });
    // A pushed message that is given back waits at Google; a pulled one has waited here.
    let retries = push.as_ref().map(|_| {
        let seconds = |seconds| GoogleDuration::clamp(seconds, 0);
        RetryPolicy::new()
            .set_minimum_backoff(seconds(10))
            .set_maximum_backoff(seconds(600))
    });
    GoogleSubscription::new()
        .set_name(wanted.name)
        .set_topic(wanted.topic)
        .set_ack_deadline_seconds(seconds(lease(options.lease)))
        .set_message_retention_duration(retention(options.retention))
        // It stays although nobody receives for a month.
        .set_expiration_policy(ExpirationPolicy::new())
        .set_enable_message_ordering(wanted.topic_options.ordered)
        .set_enable_exactly_once_delivery(wanted.topic_options.exactly_once)
        .set_filter(filter)
        .set_dead_letter_policy(dead)
        .set_or_clear_retry_policy(retries)
        .set_or_clear_push_config(push)
}

/// The command that creates a subscription.
fn command(wanted: &GoogleSubscription) -> String {
    let (short, project) = (names::short(&wanted.name), names::project(&wanted.name));
    let mut text = format!(
        "gcloud pubsub subscriptions create {short} --project {project} --topic {} --ack-deadline {} --expiration-period never",
        wanted.topic, wanted.ack_deadline_seconds
    );
    if let Some(time) = &wanted.message_retention_duration {
        text += &format!(" --message-retention-duration {}s", time.seconds());
    }
    if wanted.enable_message_ordering {
        text += " --enable-message-ordering";
    }
    if wanted.enable_exactly_once_delivery {
        text += " --enable-exactly-once-delivery";
    }
    if !wanted.filter.is_empty() {
        text += &format!(" --message-filter '{}'", wanted.filter);
    }
    if let Some(dead) = &wanted.dead_letter_policy {
        text += &format!(
            " --dead-letter-topic {} --max-delivery-attempts {}",
            dead.dead_letter_topic, dead.max_delivery_attempts
        );
    }
    if let Some(push) = &wanted.push_config {
        text += &format!(" --push-endpoint {}", push.push_endpoint);
    }
    text
}

/// Checks that a subscription can do what is wanted of it.
fn check(wanted: &Wanted<'_>, there: &GoogleSubscription) -> Result<()> {
    check_topic(wanted.name, there, wanted.topic)?;
    let is_push = there
        .push_config
        .as_ref()
        .is_some_and(|it| !it.push_endpoint.is_empty());
    let lacking = if wanted.topic_options.ordered && !there.enable_message_ordering {
        "it has no message ordering, which can only be set when it is created: delete it and create it again with `--enable-message-ordering`"
    } else if wanted.topic_options.exactly_once && !there.enable_exactly_once_delivery {
        "it has no exactly-once delivery: update it with `--enable-exactly-once-delivery`"
    } else if wanted.push.is_none() && is_push {
        "Google pushes its messages, and they are to be pulled: remove its push endpoint, or configure a push subscription"
    } else if wanted.push.is_some() && !is_push {
        "Google does not push its messages: give it a push endpoint, or remove the push configuration"
    } else {
        return Ok(());
    };
    Err(refused(wanted.name, lacking))
}

fn check_topic(name: &str, there: &GoogleSubscription, topic: &str) -> Result<()> {
    if there.topic == topic && !there.detached {
        return Ok(());
    }
    let text = format!(
        "it is a subscription of `{}`: delete it, or choose another name",
        there.topic
    );
    Err(refused(name, &text))
}

fn refused(name: &str, lacking: &str) -> Error {
    let text = format!("the subscription that exists cannot be used: {lacking}");
    Error::new(ErrorKind::PreconditionFailed, PROVIDER, name, text)
}
