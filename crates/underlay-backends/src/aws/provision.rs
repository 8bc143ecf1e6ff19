//! Topics, queues and subscriptions on AWS: looked up, judged, and created where that is asked for.
//!
//! What is there is never changed. Without the permission to look, what is named is taken for granted.

use std::{collections::HashMap, time::Duration};

use aws_sdk_sns::Client as Sns;
use aws_sdk_sqs::{Client as Sqs, types::QueueAttributeName as Attribute};
use tokio::time::sleep;

use crate::{
    Error, ErrorKind, Result,
    aws::{
        PROVIDER,
        error::Failure,
        message::DEFAULT_LIMIT,
        name::{QueueUrl, TopicArn},
        policy,
        queue::{MAX_HIDDEN, seconds},
    },
    topic::SubscriptionOptions,
};

/// What SQS allows as retention.
const RETENTION: (Duration, Duration) =
    (Duration::from_secs(60), Duration::from_secs(14 * 24 * 3600));
/// How often a queue is looked for that was just created; SQS asks for a second of patience.
const LOOKS: usize = 10;
const PAUSE: Duration = Duration::from_millis(500);

/// Who asks for what.
pub(super) struct Provisioner {
    pub(super) sns: Sns,
    pub(super) sqs: Sqs,
    /// The queue's region.
    pub(super) region: String,
    pub(super) topic: TopicArn,
    /// What is missing is created.
    pub(super) provision: bool,
}

/// A subscription's queues.
pub(super) struct Queues {
    pub(super) dead: QueueUrl,
    /// After how many deliveries SQS itself moves a message to the dead letters.
    pub(super) max_receives: Option<u32>,
}

/// Sees to it that a topic is there; the largest message that it takes.
pub(super) async fn ensure_topic(sns: &Sns, topic: &TopicArn, provision: bool) -> Result<usize> {
    let fifo = if topic.is_fifo() {
        " --attributes FifoTopic=true"
    } else {
        ""
    };
    let missing = format!(
        "the topic does not exist; create it with `aws sns create-topic --region {} --name {}{fifo}`",
        topic.region, topic.name
    );
    let found = sns
        .get_topic_attributes()
        .topic_arn(&topic.arn)
        .send()
        .await;
    match found.map_err(Failure::from) {
        Ok(answer) => {
            let attributes = answer.attributes.unwrap_or_default();
            let limit = attributes
                .get("MaximumMessageSize")
                .and_then(|it| it.parse().ok());
            Ok(limit
                .filter(|it| *it >= DEFAULT_LIMIT)
                .unwrap_or(DEFAULT_LIMIT))
        }
        Err(failure) if failure.kind == ErrorKind::NotFound && provision => {
            create_topic(sns, topic).await.map(|()| DEFAULT_LIMIT)
        }
        Err(failure) if failure.kind == ErrorKind::NotFound => {
            Err(failure.into_error(&topic.arn, missing))
        }
        // Who may only publish need not be allowed to look.
        Err(failure) if failure.is_denied() && !provision => Ok(DEFAULT_LIMIT),
        Err(failure) => Err(failure.into_error(&topic.arn, "look up a topic")),
    }
}

async fn create_topic(sns: &Sns, topic: &TopicArn) -> Result<()> {
    let mut request = sns.create_topic().name(&topic.name);
    if topic.is_fifo() {
        request = request
            .attributes("FifoTopic", "true")
            .attributes("FifoThroughputScope", "MessageGroup");
    }
    let created = request
        .send()
        .await
        .map_err(|error| Failure::from(error).into_error(&topic.arn, "create a topic"))?;
    let arn = created.topic_arn.unwrap_or_default();
    if arn == topic.arn {
        return Ok(());
    }
    let text = format!(
        "create a topic: with these credentials it is `{arn}`; correct the ARN in the infra config"
    );
    Err(Error::new(
        ErrorKind::PreconditionFailed,
        PROVIDER,
        &topic.arn,
        text,
    ))
}

impl Provisioner {
    /// Sees to it that a subscription, its queue and its dead letters' queue are there.
    pub(super) async fn ensure(
        &self,
        queue: &QueueUrl,
        options: &SubscriptionOptions,
    ) -> Result<Queues> {
        let found = self.look_up(queue).await?;
        let queues = match &found {
            Found::There(attributes) => self.redrive_of(queue, attributes),
            Found::Hidden | Found::Missing => Queues {
                dead: queue.beside(&queue.dead_name()),
                max_receives: None,
            },
        };
        if let Found::Missing = found {
            self.may_create(queue, "the queue does not exist")?;
        }
        if let Found::Missing = self.look_up(&queues.dead).await? {
            self.may_create(&queues.dead, "the queue of the dead letters does not exist")?;
            self.create(&queues.dead, options, HashMap::new()).await?;
        }
        let max_receives = match found {
            Found::Missing => self.create_queue(queue, &queues.dead, options).await?,
            _ => queues.max_receives,
        };
        self.ensure_subscription(queue, options).await?;
        Ok(Queues {
            max_receives,
            ..queues
        })
    }

    /// What an existing queue's redrive policy says.
    fn redrive_of(&self, queue: &QueueUrl, attributes: &HashMap<Attribute, String>) -> Queues {
        let redrive = attributes.get(&Attribute::RedrivePolicy);
        let redrive = redrive.and_then(|it| policy::read_redrive_policy(it));
        let (dead, max_receives) = match redrive {
            Some((arn, receives)) => {
                let name = arn.rsplit(':').next().map(str::to_owned);
                (name.unwrap_or_else(|| queue.dead_name()), receives)
            }
            None => (queue.dead_name(), None),
        };
        Queues {
            dead: queue.beside(&dead),
            max_receives,
        }
    }

    async fn look_up(&self, queue: &QueueUrl) -> Result<Found> {
        let found = self
            .sqs
            .get_queue_attributes()
            .queue_url(&queue.url)
            .attribute_names(Attribute::QueueArn)
            .attribute_names(Attribute::RedrivePolicy)
            .send()
            .await;
        match found.map_err(Failure::from) {
            Ok(answer) => Ok(Found::There(answer.attributes.unwrap_or_default())),
            Err(failure) if failure.kind == ErrorKind::NotFound => Ok(Found::Missing),
            Err(failure) if !self.provision && failure.is_denied() => Ok(Found::Hidden),
            Err(failure) => Err(failure.into_error(&queue.url, "look up a queue")),
        }
    }

    fn may_create(&self, queue: &QueueUrl, what: &'static str) -> Result<()> {
        if self.provision {
            return Ok(());
        }
        let fifo = if queue.is_fifo() {
            " --attributes FifoQueue=true"
        } else {
            ""
        };
        let text = format!(
            "{what}; create it with `aws sqs create-queue --region {} --queue-name {}{fifo}`",
            self.region, queue.name
        );
        Err(Error::new(ErrorKind::NotFound, PROVIDER, &queue.url, text))
    }

    /// Creates a subscription's queue; after how many deliveries it gives a message up.
    async fn create_queue(
        &self,
        queue: &QueueUrl,
        dead: &QueueUrl,
        options: &SubscriptionOptions,
    ) -> Result<Option<u32>> {
        let redrive = policy::redrive_policy(&self.arn(dead), options.max_deliveries);
        let max_receives = redrive.as_deref().and_then(policy::read_redrive_policy);
        let mut attributes = HashMap::from([
            (
                Attribute::Policy,
                policy::queue_policy(&self.arn(queue), &self.topic.arn),
            ),
            (
                Attribute::VisibilityTimeout,
                seconds(options.lease.min(MAX_HIDDEN)).to_string(),
            ),
        ]);
        attributes.extend(redrive.map(|it| (Attribute::RedrivePolicy, it)));
        self.create(queue, options, attributes).await?;
        Ok(max_receives.and_then(|(_, receives)| receives))
    }

    async fn create(
        &self,
        queue: &QueueUrl,
        options: &SubscriptionOptions,
        mut attributes: HashMap<Attribute, String>,
    ) -> Result<()> {
        let (least, most) = RETENTION;
        let retention = options.retention.unwrap_or(most).clamp(least, most);
        attributes.insert(
            Attribute::MessageRetentionPeriod,
            seconds(retention).to_string(),
        );
        if queue.is_fifo() {
            attributes.insert(Attribute::FifoQueue, "true".to_owned());
            attributes.insert(Attribute::DeduplicationScope, "messageGroup".to_owned());
            attributes.insert(
                Attribute::FifoThroughputLimit,
                "perMessageGroupId".to_owned(),
            );
        }
        let created = self
            .sqs
            .create_queue()
            .queue_name(&queue.name)
            .set_attributes(Some(attributes))
            .send()
            .await;
        let created = created
            .map_err(|error| Failure::from(error).into_error(&queue.url, "create a queue"))?;
        let url = created.queue_url.unwrap_or_default();
        // An emulator's host has several names, so it is the account and the name that count.
        let same = QueueUrl::parse(&url)
            .is_ok_and(|it| (it.account, it.name) == (queue.account.clone(), queue.name.clone()));
        if !same {
            let text = format!(
                "create a queue: with these credentials it is `{url}`; correct the URL in the infra config"
            );
            return Err(Error::new(
                ErrorKind::PreconditionFailed,
                PROVIDER,
                &queue.url,
                text,
            ));
        }
        for _ in 0..LOOKS {
            if let Found::There(_) = self.look_up(queue).await? {
                return Ok(());
            }
            sleep(PAUSE).await;
        }
        let text = "create a queue: it was created, and SQS does not find it yet; try again";
        Err(Error::new(
            ErrorKind::Unavailable,
            PROVIDER,
            &queue.url,
            text,
        ))
    }

    /// Sees to it that the topic delivers to the queue.
    async fn ensure_subscription(
        &self,
        queue: &QueueUrl,
        options: &SubscriptionOptions,
    ) -> Result<()> {
        let queue_arn = self.arn(queue);
        let failed = |failure: Failure, attempted| failure.into_error(&self.topic.arn, attempted);
        let mut pages = self
            .sns
            .list_subscriptions_by_topic()
            .topic_arn(&self.topic.arn)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            match page.map_err(Failure::from) {
                Ok(page) => {
                    let mut endpoints = page.subscriptions().iter().filter_map(|it| it.endpoint());
                    if endpoints.any(|it| it == queue_arn) {
                        return Ok(());
                    }
                }
                Err(failure) if !self.provision && failure.is_denied() => return Ok(()),
                Err(failure) => return Err(failed(failure, "look up a topic's subscriptions")),
            }
        }
        if !self.provision {
            let text = format!(
                "the topic `{}` does not deliver to the queue; create the subscription with `aws sns subscribe --region {} \
                 --topic-arn {} --protocol sqs --notification-endpoint {queue_arn} --attributes RawMessageDelivery=true`, and \
                 a policy of the queue that lets the topic send",
                self.topic.arn, self.topic.region, self.topic.arn
            );
            return Err(Error::new(ErrorKind::NotFound, PROVIDER, &queue.url, text));
        }
        let mut request = self
            .sns
            .subscribe()
            .topic_arn(&self.topic.arn)
            .protocol("sqs")
            .endpoint(&queue_arn)
            .attributes("RawMessageDelivery", "true");
        if let Some(filter) = policy::filter_policy(&options.filter) {
            request = request.attributes("FilterPolicy", filter);
        }
        let made = request.send().await;
        made.map(drop)
            .map_err(|error| failed(error.into(), "create a topic's subscription"))
    }

    fn arn(&self, queue: &QueueUrl) -> String {
        let Self { region, topic, .. } = self;
        format!(
            "arn:{}:sqs:{region}:{}:{}",
            topic.partition, queue.account, queue.name
        )
    }
}

/// A queue that was looked for.
enum Found {
    There(HashMap<Attribute, String>),
    /// The credentials do not allow to see it.
    Hidden,
    Missing,
}
