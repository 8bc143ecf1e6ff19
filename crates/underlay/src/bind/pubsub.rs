//! Brokers of the infra config, with the model's topics and subscriptions on them.
//!
//! Every provider is told the same of a topic; only names and connections differ.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};
use underlay_backends::memory;
use underlay_backends::topic::{Broker, Subscription, SubscriptionOptions, Topic, TopicOptions};
use underlay_model::infra::{PubSub, PushConfig};
use underlay_model::model::{self, Delivery};
use underlay_model::{InfraConfig, Model, duration};

use crate::consume;
use crate::push::Pushes;

/// A broker with the topics and subscriptions of the model that are on it.
pub(super) struct Connected {
    pub(super) broker: Arc<dyn Broker>,
    pub(super) topics: BTreeMap<String, Arc<dyn Topic>>,
    pub(super) subscriptions: BTreeMap<(String, String), Arc<dyn Subscription>>,
    pub(super) pushes: Pushes,
}

/// A broker, and what is only one provider's.
struct Opened {
    broker: Arc<dyn Broker>,
    #[cfg(feature = "gcp-pubsub")]
    gcp: Option<underlay_backends::gcp::Broker>,
}

impl Opened {
    fn new(broker: impl Broker) -> Self {
        Self {
            broker: Arc::new(broker),
            #[cfg(feature = "gcp-pubsub")]
            gcp: None,
        }
    }
}

/// A topic by its declared name, and what the broker calls it and its subscriptions.
struct Place {
    declared: String,
    name: String,
    /// By declared name.
    subscriptions: BTreeMap<String, SubscriptionPlace>,
}

/// What the broker calls a subscription, and how it pushes its messages if they are not pulled.
#[derive(Clone, Default)]
struct SubscriptionPlace {
    name: String,
    #[cfg_attr(
        not(feature = "gcp-pubsub"),
        expect(dead_code, reason = "only Google pushes")
    )]
    push: Option<PushConfig>,
}

impl From<&String> for SubscriptionPlace {
    fn from(name: &String) -> Self {
        Self {
            name: name.clone(),
            push: None,
        }
    }
}

/// Brokers that this binary cannot use, each by its path.
pub(super) fn unsupported(config: &InfraConfig) -> Vec<String> {
    let mut problems = Vec::new();
    for (index, pubsub) in config.pubsub.iter().enumerate() {
        let (kind, feature, compiled_in) = match pubsub {
            PubSub::Memory { .. } => continue,
            PubSub::Nats { .. } => ("nats", "nats", cfg!(feature = "nats")),
            PubSub::GcpPubsub { .. } => ("gcp_pubsub", "gcp-pubsub", cfg!(feature = "gcp-pubsub")),
            PubSub::AwsSnsSqs { .. } => {
                ("aws_sns_sqs", "aws-sns-sqs", cfg!(feature = "aws-sns-sqs"))
            }
            PubSub::Nsq { .. } => {
                problems.push(format!(
                    "infra config: pubsub[{index}].type: `nsq` is not supported, because it loses messages and knows \
                     no order; use `nats`"
                ));
                continue;
            }
        };
        if !compiled_in {
            problems.push(format!(
                "infra config: pubsub[{index}].type: `{kind}` is not compiled into this binary; build it with the \
                 feature `{feature}` of the crate `underlay`"
            ));
        }
    }
    problems
}

/// Connects to every broker at once and finds the model's topics and subscriptions on each.
pub(super) async fn connect(
    config: &InfraConfig,
    model: &Model,
    base_url: &str,
    deadline: Instant,
) -> Result<Vec<Connected>, Vec<String>> {
    let connecting =
        config
            .pubsub
            .iter()
            .enumerate()
            .map(async |(index, pubsub)| {
                match timeout_at(deadline, connect_one(pubsub, model, base_url)).await {
                    Ok(connected) => connected,
                    Err(_) => Err(vec![format!(
                        "infra config: pubsub[{index}]: the broker did not answer in time"
                    )]),
                }
            });
    let mut connected = Vec::new();
    let mut problems = Vec::new();
    for outcome in join_all(connecting).await {
        match outcome {
            Ok(one) => connected.push(one),
            Err(errors) => problems.extend(errors),
        }
    }
    if problems.is_empty() {
        Ok(connected)
    } else {
        Err(problems)
    }
}

async fn connect_one(
    pubsub: &PubSub,
    model: &Model,
    base_url: &str,
) -> Result<Connected, Vec<String>> {
    let places = places(pubsub);
    let opened = open(pubsub, model)
        .await
        .map_err(|error| vec![crate::error::chain(&error)])?;
    let mut pushes = Pushes::new();
    let mut topics = BTreeMap::new();
    let mut subscriptions = BTreeMap::new();
    let mut problems = Vec::new();
    for place in &places {
        let Some(topic) = model.topics.iter().find(|it| it.name == place.declared) else {
            continue;
        };
        let declared: Vec<&model::Subscription> = model
            .subscriptions
            .iter()
            .filter(|it| it.topic == place.declared)
            .collect();
        let options = match topic_options(topic, &declared) {
            Ok(options) => options,
            Err(errors) => {
                problems.extend(errors);
                continue;
            }
        };
        match opened.broker.topic(&place.name, options).await {
            Ok(bound) => drop(topics.insert(place.declared.clone(), bound)),
            Err(error) => {
                let error = crate::error::chain(&error);
                problems.push(format!(
                    "{}: the topic `{}`: {error}",
                    topic.source, topic.name
                ));
                continue;
            }
        }
        for it in declared {
            let named = SubscriptionPlace::from(&it.name);
            let at = place.subscriptions.get(&it.name).unwrap_or(&named);
            let bound = match subscription_options(it) {
                Ok(options) => {
                    subscribe(&opened, &place.name, at, options, base_url, &mut pushes).await
                }
                Err(error) => Err(error),
            };
            match bound {
                Ok(bound) => {
                    subscriptions.insert((it.topic.clone(), it.name.clone()), bound);
                }
                Err(error) => problems.push(format!(
                    "{}: the subscription `{}` of `{}`: {error}",
                    it.source, it.name, it.topic
                )),
            }
        }
    }
    if problems.is_empty() {
        Ok(Connected {
            broker: opened.broker,
            topics,
            subscriptions,
            pushes,
        })
    } else {
        Err(problems)
    }
}

/// The receiving side of a subscription, pulled or pushed.
#[cfg_attr(
    not(feature = "gcp-pubsub"),
    expect(unused_variables, reason = "only Google pushes")
)]
async fn subscribe(
    opened: &Opened,
    topic: &str,
    at: &SubscriptionPlace,
    options: SubscriptionOptions,
    base_url: &str,
    pushes: &mut Pushes,
) -> Result<Arc<dyn Subscription>, String> {
    #[cfg(feature = "gcp-pubsub")]
    if let (Some(push), Some(gcp)) = (&at.push, &opened.gcp) {
        let endpoint = format!("{base_url}{}/{}", crate::push::PATH, push.id);
        let push_options = underlay_backends::gcp::PushOptions {
            audience: push
                .jwt_audience
                .clone()
                .unwrap_or_else(|| endpoint.clone()),
            service_account: push.service_account.clone(),
            keys: None,
            endpoint: Some(endpoint),
        };
        let pushed = gcp.push_subscription(topic, &at.name, options, &push_options);
        let pushed = pushed.await.map_err(|error| crate::error::chain(&error))?;
        let source = pushed.subscription();
        let push_one: crate::push::Push = Arc::new(move |authorization, body| {
            let pushed = Arc::clone(&pushed);
            Box::pin(async move { pushed.handle(authorization.as_deref(), &body).await })
        });
        pushes.insert(push.id.clone(), push_one);
        return Ok(source);
    }
    let bound = opened.broker.subscription(topic, &at.name, options).await;
    bound.map_err(|error| crate::error::chain(&error))
}

/// Connects to one broker.
async fn open(pubsub: &PubSub, model: &Model) -> underlay_backends::Result<Opened> {
    Ok(match pubsub {
        PubSub::Memory { path: None, .. } => Opened::new(memory::Broker::in_memory()),
        PubSub::Memory {
            path: Some(path),
            topics,
        } => {
            let declared: Vec<(&str, &str)> = model
                .subscriptions
                .iter()
                .filter(|it| topics.contains_key(&it.topic))
                .map(|it| (&*it.topic, &*it.name))
                .collect();
            let (broker, removed) = memory::Broker::open(Path::new(path), &declared).await?;
            for it in removed {
                tracing::warn!(
                    target: "underlay",
                    topic = it.topic,
                    subscription = it.subscription,
                    messages = it.messages,
                    dead_letters = it.dead_letters,
                    "the subscription is not declared any more; its messages were removed",
                );
            }
            Opened::new(broker)
        }
        #[cfg(feature = "nats")]
        PubSub::Nats {
            hosts, provision, ..
        } => Opened::new(underlay_backends::nats::Broker::connect(hosts, *provision).await?),
        #[cfg(feature = "gcp-pubsub")]
        PubSub::GcpPubsub { provision, .. } => {
            let broker = underlay_backends::gcp::Broker::connect(*provision).await?;
            Opened {
                gcp: Some(broker.clone()),
                broker: Arc::new(broker),
            }
        }
        #[cfg(feature = "aws-sns-sqs")]
        PubSub::AwsSnsSqs { provision, .. } => {
            Opened::new(underlay_backends::aws::Broker::connect(*provision).await?)
        }
        // `unsupported` has refused it.
        #[allow(unreachable_patterns, reason = "with every feature, NSQ is left")]
        _ => {
            return Err(underlay_backends::Error::new(
                underlay_backends::ErrorKind::Unsupported,
                "pubsub",
                "broker",
                "connect: the provider is not compiled in",
            ));
        }
    })
}

/// The topics on a broker, with the broker's names.
fn places(pubsub: &PubSub) -> Vec<Place> {
    let place = |declared: &String, name: String, subscriptions| Place {
        declared: declared.clone(),
        name,
        subscriptions,
    };
    match pubsub {
        PubSub::Memory { topics, .. } => topics
            .keys()
            .map(|declared| place(declared, declared.clone(), BTreeMap::new()))
            .collect(),
        PubSub::Nats { topics, .. } | PubSub::Nsq { topics, .. } => {
            let topics = topics.iter().map(|(declared, topic)| {
                let names = topic.subscriptions.iter();
                let names = names
                    .map(|(declared, it)| (declared.clone(), SubscriptionPlace::from(&it.name)));
                place(declared, topic.name.clone(), names.collect())
            });
            topics.collect()
        }
        PubSub::GcpPubsub {
            project_id, topics, ..
        } => {
            let topics = topics.iter().map(|(declared, topic)| {
                let of_topic = topic.project_id.as_ref().or(project_id.as_ref());
                // `infra::bounds` has seen to it that there is a project.
                let of_topic = of_topic.map_or("", String::as_str);
                let names = topic.subscriptions.iter().map(|(declared, it)| {
                    let project = it.project_id.as_deref().unwrap_or(of_topic);
                    let at = SubscriptionPlace {
                        name: format!("projects/{project}/subscriptions/{}", it.name),
                        push: it.push_config.clone(),
                    };
                    (declared.clone(), at)
                });
                let name = format!("projects/{of_topic}/topics/{}", topic.name);
                place(declared, name, names.collect())
            });
            topics.collect()
        }
        PubSub::AwsSnsSqs { topics, .. } => {
            let topics = topics.iter().map(|(declared, topic)| {
                let names = topic.subscriptions.iter();
                let names = names
                    .map(|(declared, it)| (declared.clone(), SubscriptionPlace::from(&it.url)));
                place(declared, topic.arn.clone(), names.collect())
            });
            topics.collect()
        }
    }
}

fn topic_options(
    topic: &model::Topic,
    subscriptions: &[&model::Subscription],
) -> Result<TopicOptions, Vec<String>> {
    let mut longest: Option<Duration> = None;
    let mut problems = Vec::new();
    for it in subscriptions {
        match retention(it) {
            Ok(retention) => longest = longest.max(Some(retention)),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let default = SubscriptionOptions::default().retention;
    Ok(TopicOptions {
        ordered: topic.ordered_by.is_some(),
        exactly_once: topic.delivery == Delivery::ExactlyOnce,
        retention: longest.or(default),
    })
}

fn subscription_options(subscription: &model::Subscription) -> Result<SubscriptionOptions, String> {
    Ok(SubscriptionOptions {
        lease: consume::lease(duration::parse(&subscription.delivery.ack_deadline)?),
        retention: Some(retention(subscription)?),
        max_deliveries: subscription
            .delivery
            .max_retries
            .map(consume::max_deliveries),
        filter: subscription.filter.clone(),
    })
}

fn retention(subscription: &model::Subscription) -> Result<Duration, String> {
    duration::parse(&subscription.delivery.retention).map_err(|error| {
        format!(
            "{}: the retention of the subscription `{}` of `{}`: {error}",
            subscription.source, subscription.name, subscription.topic
        )
    })
}
