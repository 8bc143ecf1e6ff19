//! The streams and consumers that topics and subscriptions need: looked up, judged, and created where that is asked for.
//!
//! One that is there is never changed.

use std::{borrow::Cow, time::Duration};

use async_nats::jetstream::{
    Context,
    consumer::{self, AckPolicy, DeliverPolicy},
    stream::{self, RetentionPolicy, StorageType, Stream},
};

use crate::{
    Error, ErrorKind, Result,
    nats::{PROVIDER, error::Classified},
    topic::TopicOptions,
};

/// The window in which a message that is sent again is stored once.
const DUPLICATES: Duration = Duration::from_secs(120);

/// What a topic's stream of dead letters ends with, and the one of messages that are not due.
const DEAD: &str = "-dead";
const DELAYED: &str = "-delayed";

/// The consumer of a stream of messages that are not due.
pub(super) const DUE: &str = "due";

/// The stream of the claims to receive an ordered subscription, for all topics.
pub(super) const CLAIMS: &str = "underlay-claims";
/// How long a claim holds where the stream is created.
const CLAIM: Duration = Duration::from_secs(10);
/// The least time for which a message of an exactly-once topic that is sent again is stored once.
const LEAST_DUPLICATES: Duration = Duration::from_secs(30);
/// After how long without a word of its receiver a message of an ordered subscription is delivered again, where the consumer
/// is created. Longer leases are kept by the receiver.
const ORDERED_WAIT: Duration = Duration::from_secs(10);

/// The name of a topic's stream of dead letters.
pub(super) fn dead_name(topic: &str) -> String {
    format!("{topic}{DEAD}")
}

/// The name of a topic's stream of messages that are not due.
pub(super) fn delayed_name(topic: &str) -> String {
    format!("{topic}{DELAYED}")
}

/// What a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Messages,
    Dead,
    Delayed,
    Claims,
}

impl Role {
    fn subject(self, name: &str) -> String {
        match self {
            Self::Messages | Self::Delayed => name.to_owned(),
            Self::Dead | Self::Claims => format!("{name}.>"),
        }
    }

    fn retention(self) -> RetentionPolicy {
        match self {
            Self::Delayed => RetentionPolicy::WorkQueue,
            _ => RetentionPolicy::Limits,
        }
    }

    /// How it is created by hand.
    fn hint(self, name: &str) -> String {
        let subject = self.subject(name);
        let more = match self {
            Self::Messages | Self::Dead => "--retention limits",
            Self::Delayed => "--retention work",
            Self::Claims => "--retention limits --max-msgs-per-subject 1 --max-age 10s",
        };
        format!("`nats stream add {name} --subjects '{subject}' --storage file {more} --defaults`")
    }

    fn config(self, name: &str, options: TopicOptions) -> stream::Config {
        let max_age = match self {
            Self::Messages | Self::Dead => options.retention.unwrap_or_default(),
            Self::Delayed => Duration::ZERO,
            Self::Claims => CLAIM,
        };
        stream::Config {
            name: name.to_owned(),
            subjects: vec![self.subject(name)],
            storage: StorageType::File,
            retention: self.retention(),
            max_age,
            max_messages_per_subject: if self == Self::Claims { 1 } else { -1 },
            duplicate_window: if max_age.is_zero() {
                DUPLICATES
            } else {
                DUPLICATES.min(max_age)
            },
            ..stream::Config::default()
        }
    }
}

/// A stream that is there.
pub(super) async fn stream(
    context: &Context,
    name: &str,
    role: Role,
    resource: &str,
) -> Result<Stream> {
    context.get_stream(name).await.map_err(|error| {
        let text = if error.class() == ErrorKind::NotFound {
            let hint = role.hint(name);
            format!("the stream `{name}` is missing; create it with {hint}")
        } else {
            format!("the stream `{name}` could not be looked up")
        };
        failed(error, resource, text)
    })
}

/// Sees to it that a stream is there and can be what it is for.
pub(super) async fn ensure_stream(
    context: &Context,
    name: &str,
    role: Role,
    options: TopicOptions,
    provision: bool,
) -> Result<Stream> {
    let found = match stream(context, name, role, name).await {
        Err(error) if error.kind() == ErrorKind::NotFound && provision => {
            let created = context.create_stream(role.config(name, options)).await;
            created.map_err(|error| {
                let text = format!("the stream `{name}` could not be created");
                failed(error, name, text)
            })?;
            // Another instance may have created it, too.
            stream(context, name, role, name).await?
        }
        found => found?,
    };
    let config = &found.cached_info().config;
    let subject = role.subject(name);
    let why = if !config.subjects.contains(&subject) {
        format!("does not have the subject `{subject}`; add it with `nats stream edit`")
    } else if config.retention != role.retention() {
        let hint = role.hint(name);
        format!("drops its messages at another time than it should; create it with {hint}")
    } else if config.no_ack {
        "does not confirm what it stored; create it without `no_ack`".to_owned()
    } else if role == Role::Claims && config.max_age.is_zero() {
        "keeps claims for ever; create it with `--max-age 10s`".to_owned()
    } else if role == Role::Messages
        && options.exactly_once
        && config.duplicate_window < LEAST_DUPLICATES
    {
        "does not recognise what is sent again; give it a duplicate window of 2 minutes with `nats stream edit \
         --dupe-window 2m`"
            .to_owned()
    } else {
        return Ok(found);
    };
    let text = format!("the stream `{name}` {why}");
    Err(Error::new(
        ErrorKind::PreconditionFailed,
        PROVIDER,
        name,
        text,
    ))
}

/// The stream of claims.
pub(super) struct ClaimStream {
    pub(super) stream: Stream,
    /// How long a claim holds.
    pub(super) time: Duration,
}

/// Sees to it that the stream of claims is there.
pub(super) async fn claims(context: &Context, provision: bool) -> Result<ClaimStream> {
    let options = TopicOptions::default();
    let stream = ensure_stream(context, CLAIMS, Role::Claims, options, provision).await?;
    let time = stream.cached_info().config.max_age;
    Ok(ClaimStream { stream, time })
}

/// The lease of the messages of a consumer that is created.
pub(super) fn ack_wait(lease: Duration, ordered: bool) -> Duration {
    if ordered {
        lease.min(ORDERED_WAIT)
    } else {
        lease
    }
}

/// A durable consumer.
pub(super) struct DurableConsumer {
    pub(super) messages: Stream,
    pub(super) stream: String,
    pub(super) name: String,
    /// The lease of a message for which no other was set.
    pub(super) ack_wait: Duration,
}

impl DurableConsumer {
    /// Where its messages are asked for.
    pub(super) fn next_subject(&self) -> String {
        format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", self.stream, self.name)
    }

    /// What the server knows of it.
    pub(super) async fn info(&self, resource: &str) -> Result<consumer::Info> {
        let Self { stream, name, .. } = self;
        self.messages.consumer_info(name).await.map_err(|error| {
            let text = if error.class() == ErrorKind::NotFound {
                format!(
                    "the consumer `{name}` of the stream `{stream}` is missing; create it with `nats consumer add {stream} \
                     {name} --pull --ack explicit --deliver new --max-deliver=-1 --max-pending=-1 --wait 30s --defaults`"
                )
            } else {
                format!("the consumer `{name}` of the stream `{stream}` could not be looked up")
            };
            failed(error, resource, text)
        })
    }

    /// Whether it is there and can be a subscription's; its `ack_wait`.
    pub(super) async fn check(&self, resource: &str) -> Result<Duration> {
        let Self { stream, name, .. } = self;
        let info = self.info(resource).await?;
        let config = info.config;
        let why = if config.deliver_subject.is_some() {
            "pushes; create it as a pull consumer"
        } else if config.ack_policy != AckPolicy::Explicit {
            "does not want each message acknowledged; create it with `--ack explicit`"
        } else if config.max_deliver > 0 {
            "gives messages up by itself; create it with `--max-deliver=-1`"
        } else if !config.backoff.is_empty() {
            "has a back-off, which is not its own to choose; create it without"
        } else {
            return Ok(config.ack_wait);
        };
        let text = format!("the consumer `{name}` of the stream `{stream}` {why}");
        Err(Error::new(
            ErrorKind::PreconditionFailed,
            PROVIDER,
            resource,
            text,
        ))
    }

    /// Sees to it that it is there and can be a subscription's, and learns its `ack_wait`.
    pub(super) async fn ensure(
        mut self,
        start: DeliverPolicy,
        resource: &str,
        provision: bool,
    ) -> Result<Self> {
        match self.check(resource).await {
            Err(error) if error.kind() == ErrorKind::NotFound && provision => {
                self.create(start, resource).await?;
                // Another instance may have created it, too, with another lease.
                self.ack_wait = self.check(resource).await?;
            }
            checked => self.ack_wait = checked?,
        }
        Ok(self)
    }

    async fn create(&self, deliver_policy: DeliverPolicy, resource: &str) -> Result<()> {
        let Self { stream, name, .. } = self;
        let config = consumer::pull::Config {
            durable_name: Some(name.clone()),
            deliver_policy,
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.ack_wait,
            max_deliver: -1,
            max_ack_pending: -1,
            ..consumer::pull::Config::default()
        };
        let created = self.messages.create_consumer(config).await;
        created.map(drop).map_err(|error| {
            let text =
                format!("the consumer `{name}` of the stream `{stream}` could not be created");
            failed(error, resource, text)
        })
    }
}

/// The topic has no stream of messages that are not due.
pub(super) fn no_delays(topic: &str) -> Error {
    let name = delayed_name(topic);
    let hint = Role::Delayed.hint(&name);
    let text = format!(
        "publish a message with a delay: the stream `{name}` or its consumer `{DUE}` was missing when the topic was asked \
         for; create them with {hint} and `nats consumer add {name} {DUE} --pull --ack explicit --deliver all \
         --max-deliver=-1 --max-pending=-1 --wait 30s --defaults`"
    );
    Error::new(ErrorKind::NotFound, PROVIDER, topic, text)
}

/// Names become streams, consumers and parts of subjects as they are.
pub(super) fn check_name(name: &str, resource: &str) -> Result<()> {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !name.is_empty() && name.len() <= 200 && name.bytes().all(is_fine) {
        return Ok(());
    }
    let text = "a topic's or subscription's name on NATS is of at most 200 letters, digits, `-` and `_`; choose another name in \
                the infra config";
    Err(Error::new(
        ErrorKind::InvalidArgument,
        PROVIDER,
        resource,
        text,
    ))
}

fn failed(error: impl Classified, resource: &str, text: impl Into<Cow<'static, str>>) -> Error {
    Error::new(error.class(), PROVIDER, resource, text).with_source(error)
}
