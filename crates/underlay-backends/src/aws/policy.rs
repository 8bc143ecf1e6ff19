//! The JSON documents that topics, queues and subscriptions are created with. Pure: no emulator checks them, so the
//! tests here do.

use serde_json::{Map, Value, json};
use underlay_model::filter::{Condition, Filter};

use crate::aws::message;

/// How often SQS delivers at most before it gives a message up itself.
const MAX_RECEIVES: u32 = 1000;
/// How many conditions a filter policy may have; one more is ours.
const MAX_CONDITIONS: usize = 4;
/// How many combinations of values a filter policy may have; one more is ours.
const MAX_COMBINATIONS: usize = 149;

/// Lets one topic, and nobody else of Amazon's services, send to a queue. Without it SNS drops what it has for the queue.
pub(super) fn queue_policy(queue_arn: &str, topic_arn: &str) -> String {
    let statement = json!({
        "Sid": "TopicSends",
        "Effect": "Allow",
        "Principal": { "Service": "sns.amazonaws.com" },
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": { "ArnEquals": { "aws:SourceArn": topic_arn } },
    });
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

/// Moves a message that nobody ends to the dead letters, where the number of deliveries is limited.
///
/// The caller counts and gives up as well; this is for the message that kills each process that gets it. SQS also counts
/// what no handler saw, the holding of a delayed message and a cancelled receive, so it has some more.
pub(super) fn redrive_policy(dead_arn: &str, max_deliveries: Option<u32>) -> Option<String> {
    let max_deliveries = max_deliveries?.max(1);
    let receives = max_deliveries
        .saturating_add(message::MAX_HOLDS)
        .min(MAX_RECEIVES);
    Some(json!({ "deadLetterTargetArn": dead_arn, "maxReceiveCount": receives }).to_string())
}

/// The dead letters' queue and the number of deliveries that a queue's redrive policy names.
pub(super) fn read_redrive_policy(policy: &str) -> Option<(String, Option<u32>)> {
    let policy: Value = serde_json::from_str(policy).ok()?;
    let arn = policy["deadLetterTargetArn"].as_str()?.to_owned();
    // SQS takes a number and a text.
    let receives = &policy["maxReceiveCount"];
    let receives = receives
        .as_u64()
        .or_else(|| receives.as_str()?.parse().ok())
        .and_then(|it| u32::try_from(it).ok());
    Some((arn, receives))
}

/// What SNS is to deliver to a subscription; `None` is everything.
///
/// Never less than the filter lets through: what cannot be said to SNS, or is above its limits, is left out, and the
/// caller filters in any case. A message whose attributes are in one of ours is always delivered.
pub(super) fn filter_policy(filter: &Filter) -> Option<String> {
    let mut policy = Map::new();
    let mut combinations = 1;
    for (name, condition) in &filter.0 {
        let Some(values) = condition_values(condition).filter(|_| message::is_own_attribute(name))
        else {
            continue;
        };
        if policy.len() == MAX_CONDITIONS || combinations * values.len() > MAX_COMBINATIONS {
            break;
        }
        combinations *= values.len();
        policy.insert(name.clone(), values.into());
    }
    if policy.is_empty() {
        return None;
    }
    let packed = json!({ message::ATTRIBUTES: [{ "exists": true }] });
    Some(json!({ "$or": [policy, packed] }).to_string())
}

/// A condition's values in a filter policy; `None` when SNS would not understand them as they are meant.
fn condition_values(condition: &Condition) -> Option<Vec<Value>> {
    // SNS wants some characters escaped twice; those, and what no message attribute can be, stay out.
    let is_plain = |text: &str| message::is_text(text) && !text.contains(['"', '\\']);
    match condition {
        Condition::AnyOf(values) => {
            let sendable: Vec<&String> = values.iter().filter(|it| !it.is_empty()).collect();
            let plain = !sendable.is_empty() && sendable.iter().all(|it| is_plain(it));
            plain.then(|| sendable.into_iter().map(|it| json!(it)).collect())
        }
        Condition::NoneOf(values) => {
            let values: Vec<&String> = values.iter().filter(|it| is_plain(it)).collect();
            Some(vec![if values.is_empty() {
                json!({ "exists": true })
            } else {
                json!({ "anything-but": values })
            }])
        }
        Condition::Prefix(prefix) if prefix.is_empty() => Some(vec![json!({ "exists": true })]),
        Condition::Prefix(prefix) => is_plain(prefix).then(|| vec![json!({ "prefix": prefix })]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: &str = "arn:aws:sqs:eu-west-1:123456789012:orders";
    const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:created";

    fn value(text: &str) -> Value {
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn only_the_topic_sends() {
        let policy = value(&queue_policy(QUEUE, TOPIC));
        let statements = policy["Statement"].as_array().expect("statements");
        assert_eq!(
            (policy["Version"].as_str(), statements.len()),
            (Some("2012-10-17"), 1)
        );
        let statement = &statements[0];
        assert_eq!(statement["Effect"], "Allow");
        assert_eq!(
            statement["Principal"],
            json!({ "Service": "sns.amazonaws.com" })
        );
        assert_eq!(statement["Action"], "sqs:SendMessage");
        assert_eq!(statement["Resource"], QUEUE);
        assert_eq!(
            statement["Condition"],
            json!({ "ArnEquals": { "aws:SourceArn": TOPIC } })
        );
    }

    #[test]
    fn redrive() {
        assert_eq!(redrive_policy(QUEUE, None), None);
        for (deliveries, receives) in [(0, 11), (5, 15), (990, 1000), (u32::MAX, 1000)] {
            let policy = redrive_policy(QUEUE, Some(deliveries)).expect("a policy");
            assert_eq!(
                value(&policy),
                json!({ "deadLetterTargetArn": QUEUE, "maxReceiveCount": receives })
            );
            assert_eq!(
                read_redrive_policy(&policy),
                Some((QUEUE.to_owned(), Some(receives)))
            );
        }
        let text = r#"{"deadLetterTargetArn":"a","maxReceiveCount":"7"}"#;
        assert_eq!(read_redrive_policy(text), Some(("a".to_owned(), Some(7))));
        assert_eq!(read_redrive_policy("{}"), None);
    }

    fn any_of(values: &[&str]) -> Condition {
        Condition::AnyOf(values.iter().map(|it| (*it).to_owned()).collect())
    }

    #[track_caller]
    fn check_filter(conditions: Vec<(&str, Condition)>, expected: Option<Value>) {
        let filter = conditions
            .into_iter()
            .map(|(name, it)| (name.to_owned(), it))
            .collect();
        let expected = expected
            .map(|it| json!({ "$or": [it, { "underlay-attributes": [{ "exists": true }] }] }));
        assert_eq!(
            filter_policy(&Filter(filter)).map(|it| value(&it)),
            expected
        );
    }

    #[test]
    fn filters() {
        let none_of = |value: &str| Condition::NoneOf(vec![value.to_owned()]);
        let prefix = |value: &str| Condition::Prefix(value.to_owned());
        check_filter(vec![], None);
        check_filter(
            vec![
                ("country", any_of(&["DE", "", "AT"])),
                ("kind", none_of("test")),
                ("sku", prefix("A-")),
            ],
            Some(
                json!({ "country": ["DE", "AT"], "kind": [{ "anything-but": ["test"] }], "sku": [{ "prefix": "A-" }] }),
            ),
        );
        check_filter(
            vec![("a", prefix("")), ("b", Condition::NoneOf(vec![]))],
            Some(json!({ "a": [{ "exists": true }], "b": [{ "exists": true }] })),
        );
    }

    #[test]
    fn what_sns_cannot_filter_is_delivered() {
        check_filter(vec![("a", any_of(&[]))], None);
        check_filter(vec![("a", any_of(&["x", "\""]))], None);
        check_filter(vec![("a b", any_of(&["x"]))], None);
        check_filter(
            vec![("a", any_of(&["x"])), ("b", Condition::Prefix("\\".into()))],
            Some(json!({ "a": ["x"] })),
        );
        let names = ["a", "b", "c", "d", "e"];
        let many = names.map(|name| (name, any_of(&["x"])));
        check_filter(
            many.to_vec(),
            Some(json!({ "a": ["x"], "b": ["x"], "c": ["x"], "d": ["x"] })),
        );
        let values: Vec<String> = (0..100).map(|it| it.to_string()).collect();
        let large = Condition::AnyOf(values.clone());
        check_filter(
            vec![("a", large), ("b", any_of(&["x", "y"]))],
            Some(json!({ "a": values })),
        );
    }
}
