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

/// What a topic's stream of dead letters ends with.
const DEAD: &str = "-dead";

/// The name of a topic's stream of dead letters.
pub(super) fn dead_name(topic: &str) -> String {
    format!("{topic}{DEAD}")
}

/// A stream that is there.
pub(super) async fn stream(context: &Context, name: &str, resource: &str) -> Result<Stream> {
    context.get_stream(name).await.map_err(|error| {
        let text = if error.class() == ErrorKind::NotFound {
            let subjects = if name.ends_with(DEAD) {
                format!("{name}.>")
            } else {
                name.to_owned()
            };
            format!(
                "the stream `{name}` is missing; create it with `nats stream add {name} --subjects '{subjects}' --storage \
                 file --retention limits --defaults`"
            )
        } else {
            format!("the stream `{name}` could not be looked up")
        };
        failed(error, resource, text)
    })
}

/// Sees to it that a topic's stream is there and can be one.
pub(super) async fn ensure_stream(
    context: &Context,
    name: &str,
    subject: String,
    options: TopicOptions,
    provision: bool,
) -> Result<()> {
    let found = match stream(context, name, name).await {
        Err(error) if error.kind() == ErrorKind::NotFound && provision => {
            let max_age = options.retention.unwrap_or_default();
            let config = stream::Config {
                name: name.to_owned(),
                subjects: vec![subject],
                storage: StorageType::File,
                retention: RetentionPolicy::Limits,
                max_age,
                duplicate_window: if max_age.is_zero() {
                    DUPLICATES
                } else {
                    DUPLICATES.min(max_age)
                },
                ..stream::Config::default()
            };
            let created = context.create_stream(config).await;
            return created.map(drop).map_err(|error| {
                failed(
                    error,
                    name,
                    format!("the stream `{name}` could not be created"),
                )
            });
        }
        found => found?,
    };
    let config = &found.cached_info().config;
    let why = if !config.subjects.contains(&subject) {
        format!("does not have the subject `{subject}`; add it with `nats stream edit`")
    } else if config.retention != RetentionPolicy::Limits {
        "drops messages when one consumer has acknowledged them; create it with the retention `limits`".to_owned()
    } else if config.no_ack {
        "does not confirm what it stored; create it without `no_ack`".to_owned()
    } else {
        return Ok(());
    };
    let text = format!("the stream `{name}` {why}");
    Err(Error::new(
        ErrorKind::PreconditionFailed,
        PROVIDER,
        name,
        text,
    ))
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

    /// Whether it is there and can be a subscription's; its `ack_wait`.
    pub(super) async fn check(&self, resource: &str) -> Result<Duration> {
        let Self { stream, name, .. } = self;
        let info = self.messages.consumer_info(name).await.map_err(|error| {
            let text = if error.class() == ErrorKind::NotFound {
                format!(
                    "the consumer `{name}` of the stream `{stream}` is missing; create it with `nats consumer add {stream} \
                     {name} --pull --ack explicit --deliver new --max-deliver=-1 --max-pending=-1 --wait 30s --defaults`"
                )
            } else {
                format!("the consumer `{name}` of the stream `{stream}` could not be looked up")
            };
            failed(error, resource, text)
        })?;
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

    /// Creates it; from now on it gets what is published.
    pub(super) async fn create(&self, resource: &str) -> Result<()> {
        let Self { stream, name, .. } = self;
        let config = consumer::pull::Config {
            durable_name: Some(name.clone()),
            deliver_policy: DeliverPolicy::New,
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
