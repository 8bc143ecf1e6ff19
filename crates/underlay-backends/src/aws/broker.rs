//! The connection to AWS, and what topics and subscriptions are made of.
//!
//! What is sent through it is in the other files, and what is needed on AWS in `provision.rs`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig, timeout::TimeoutConfig};
use aws_sdk_sqs::config::{Credentials, ProvideCredentials as _, Region};
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    Error, ErrorKind, Result,
    aws::{
        PROVIDER, TOPIC,
        dead_letters::DeadLetters,
        deletes::Deletes,
        name::{QueueUrl, TopicArn},
        provision::{self, Provisioner},
        pull::Puller,
        queue::{BATCH, MAX_HIDDEN, Queue},
        subscription::SqsSubscription,
        topic::SnsTopic,
    },
    capabilities::TopicCapabilities,
    error::chain,
    tasks::Tasks,
    topic::{self, Subscription, SubscriptionOptions, Topic, TopicOptions},
};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take; a request that waits for messages has its time in addition.
pub(super) const ANSWER: Duration = Duration::from_secs(10);
/// How long a call may take with the SDK's retries.
const CALL: Duration = Duration::from_secs(30);
/// How long credentials may take to be had.
const CREDENTIALS: Duration = Duration::from_secs(15);

/// Amazon SNS and SQS, with one set of credentials. Clones share it.
///
/// A topic is named by its ARN and a subscription by its queue's URL; either may be in another region than the
/// configured one.
#[derive(Clone)]
pub struct Broker {
    config: SdkConfig,
    provision: bool,
    tasks: Arc<Tasks>,
    /// What the topics were asked for with; a subscription's acknowledgements depend on it.
    topics: Arc<Mutex<HashMap<String, TopicOptions>>>,
}

impl Broker {
    /// Takes region, credentials and endpoint from where all of Amazon's tools do: the environment (`AWS_REGION`,
    /// `AWS_PROFILE`, `AWS_ENDPOINT_URL` …), profiles, the roles of ECS, EKS, EC2 and Lambda.
    ///
    /// With `provision` what is missing is created: topics, queues with their dead letters' queue and policies, and
    /// subscriptions. What is there is never changed.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` without a region, `PermissionDenied` without credentials.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn connect(provision: bool) -> Result<Self> {
        Self::load(aws_config::defaults(BehaviorVersion::latest()), provision).await
    }

    /// Takes endpoint, region and an access key as they are given, as emulators want it.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn connect_to(
        endpoint: &str,
        region: &str,
        (key, secret): (&str, &str),
        provision: bool,
    ) -> Result<Self> {
        let loader = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(endpoint)
            .region(Region::new(region.to_owned()))
            .credentials_provider(Credentials::new(key, secret, None, None, "given"));
        Self::load(loader, provision).await
    }

    async fn load(loader: ConfigLoader, provision: bool) -> Result<Self> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(ANSWER)
            .operation_timeout(CALL)
            .build();
        let config = loader.timeout_config(timeouts).load().await;
        let failed = |kind, text| Error::new(kind, PROVIDER, "connection", text);
        let Some(provider) = config
            .credentials_provider()
            .filter(|_| config.region().is_some())
        else {
            let text = "connect: no region is configured; set AWS_REGION";
            return Err(failed(ErrorKind::InvalidArgument, text));
        };
        match timeout(CREDENTIALS, provider.provide_credentials()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                let text = "connect: there are no credentials; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and \
                            AWS_SECRET_ACCESS_KEY, or give the service a role";
                return Err(failed(ErrorKind::PermissionDenied, text).with_source(chain(&error)));
            }
            Err(_) => {
                let text = "connect: the place where the credentials are did not answer in time";
                return Err(failed(ErrorKind::Unavailable, text));
            }
        }
        Ok(Self {
            config,
            provision,
            tasks: Arc::new(Tasks::new()),
            topics: Arc::default(),
        })
    }

    /// The region of a queue's URL, or the configured one.
    fn region(&self, queue: &QueueUrl) -> String {
        let configured = || self.config.region().map(ToString::to_string);
        queue.region.clone().or_else(configured).unwrap_or_default()
    }

    fn sns(&self, region: &str) -> aws_sdk_sns::Client {
        let config =
            aws_sdk_sns::config::Builder::from(&self.config).region(Region::new(region.to_owned()));
        aws_sdk_sns::Client::from_conf(config.build())
    }

    fn sqs(&self, region: &str) -> aws_sdk_sqs::Client {
        let config =
            aws_sdk_sqs::config::Builder::from(&self.config).region(Region::new(region.to_owned()));
        aws_sdk_sqs::Client::from_conf(config.build())
    }
}

#[async_trait]
impl topic::Broker for Broker {
    fn capabilities(&self) -> TopicCapabilities {
        TOPIC
    }

    async fn topic(&self, name: &str, options: TopicOptions) -> Result<Arc<dyn Topic>> {
        let topic = TopicArn::parse(name)?;
        if (options.ordered || options.exactly_once) && !topic.is_fifo() {
            let text = format!(
                "a topic that is {} must be a FIFO topic, whose name ends with `.fifo`; correct the ARN in the infra config",
                if options.ordered {
                    "ordered"
                } else {
                    "exactly once"
                }
            );
            return Err(Error::new(
                ErrorKind::PreconditionFailed,
                PROVIDER,
                name,
                text,
            ));
        }
        let client = self.sns(&topic.region);
        let limit = provision::ensure_topic(&client, &topic, self.provision).await?;
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        topics.insert(name.to_owned(), options);
        Ok(Arc::new(SnsTopic {
            client,
            is_fifo: topic.is_fifo(),
            arn: topic.arn,
            options,
            limit,
            tasks: Arc::clone(&self.tasks),
        }))
    }

    async fn subscription(
        &self,
        topic: &str,
        name: &str,
        options: SubscriptionOptions,
    ) -> Result<Arc<dyn Subscription>> {
        let topic = TopicArn::parse(topic)?;
        let queue = QueueUrl::parse(name)?;
        let failed = |kind, text| Err(Error::new(kind, PROVIDER, name, text));
        if topic.is_fifo() != queue.is_fifo() {
            let text = "a FIFO topic needs a FIFO queue, and only it can have one: both names end with `.fifo`, or neither; \
                        correct the URL in the infra config";
            return failed(ErrorKind::PreconditionFailed, text);
        }
        if options.lease.is_zero() || options.lease > MAX_HIDDEN {
            let text = "a subscription's lease is above zero and at most twelve hours on SQS; declare another deadline";
            return failed(ErrorKind::InvalidArgument, text);
        }
        let promised = {
            let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
            topics.get(&topic.arn).copied()
        };
        // Of a FIFO topic that nobody spoke of, the most is promised.
        let promised = promised.unwrap_or(TopicOptions {
            ordered: topic.is_fifo(),
            exactly_once: topic.is_fifo(),
            retention: None,
        });
        let region = self.region(&queue);
        let client = self.sqs(&region);
        let provisioner = Provisioner {
            sns: self.sns(&topic.region),
            sqs: client.clone(),
            region,
            topic,
            provision: self.provision,
        };
        let queues = provisioner.ensure(&queue, &options).await?;
        let queue_of = |queue: &QueueUrl| Queue {
            client: client.clone(),
            url: queue.url.clone(),
            resource: queue.url.clone(),
            is_fifo: queue.is_fifo(),
        };
        let (queue, letters) = (queue_of(&queue), queue_of(&queues.dead));
        Ok(Arc::new(SqsSubscription {
            puller: Arc::new(Puller {
                queue: queue.clone(),
                batch: if promised.ordered { 1 } else { BATCH },
                tasks: Arc::clone(&self.tasks),
                state: Mutex::default(),
            }),
            deletes: Arc::new(Deletes {
                queue: queue.clone(),
                tasks: Arc::clone(&self.tasks),
                state: Mutex::default(),
            }),
            dead_letters: DeadLetters {
                queue: queue.clone(),
                letters,
                max_receives: queues.max_receives,
                tasks: Arc::clone(&self.tasks),
                reader: Semaphore::new(1),
            },
            queue,
            exactly_once: promised.exactly_once,
            delivered: Mutex::default(),
        }))
    }

    async fn close(&self) -> Result<()> {
        self.tasks.close(ANSWER).await;
        Ok(())
    }
}
