//! Full resource names of Google Cloud Pub/Sub, and those that follow from a subscription's.
//!
//! Knows no client.

use crate::{Error, ErrorKind, Result, gcp::PROVIDER};

/// What the dead letters of a subscription are called after it.
const DEAD: &str = "-dead";

/// Checks `projects/p/topics/t`.
pub(super) fn check_topic(name: &str) -> Result<()> {
    check(name, "topics", "a topic", 255)
}

/// Checks `projects/p/subscriptions/s`, which must leave room for its dead letters' name.
pub(super) fn check_subscription(name: &str) -> Result<()> {
    check(name, "subscriptions", "a subscription", 255 - DEAD.len())
}

/// The topic that a subscription's dead letters are published to.
pub(super) fn dead_topic(subscription: &str) -> String {
    format!(
        "{}{DEAD}",
        subscription.replacen("/subscriptions/", "/topics/", 1)
    )
}

/// The subscription that keeps a subscription's dead letters.
pub(super) fn dead_subscription(subscription: &str) -> String {
    format!("{subscription}{DEAD}")
}

/// The last part of a name, as `gcloud` wants it.
pub(super) fn short(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, short)| short)
}

/// The project of a name.
pub(super) fn project(name: &str) -> &str {
    name.split('/').nth(1).unwrap_or_default()
}

fn check(name: &str, collection: &str, what: &str, longest: usize) -> Result<()> {
    let parts: Vec<&str> = name.split('/').collect();
    let is_id = |id: &str| {
        (3..=longest).contains(&id.len())
            && id.starts_with(|first: char| first.is_ascii_alphabetic())
            && !id.starts_with("goog")
            && id
                .chars()
                .all(|it| it.is_ascii_alphanumeric() || "-._~+%".contains(it))
    };
    match parts[..] {
        ["projects", project, of, id] if !project.is_empty() && of == collection && is_id(id) => {
            Ok(())
        }
        _ => {
            let text = format!(
                "{what} is named `projects/<project>/{collection}/<name>`, where the name has 3 to {longest} of letters, digits and `-._~+%`, begins with a letter and not with `goog`"
            );
            Err(Error::new(ErrorKind::InvalidArgument, PROVIDER, name, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_names() {
        assert!(check_topic("projects/p/topics/orders").is_ok());
        assert!(check_subscription("projects/p/subscriptions/mail").is_ok());
        for wrong in [
            "",
            "orders",
            "projects/p/topics",
            "projects//topics/orders",
            "projects/p/subscriptions/orders",
            "projects/p/topics/or",
            "projects/p/topics/1orders",
            "projects/p/topics/google",
            "projects/p/topics/a b c",
            "projects/p/topics/orders/x",
        ] {
            let error = check_topic(wrong).expect_err(wrong);
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        }
        let long = format!("projects/p/subscriptions/{}", "x".repeat(251));
        assert!(check_subscription(&long).is_err());
    }

    #[test]
    fn names_of_dead_letters() {
        let name = "projects/p/subscriptions/mail";
        assert_eq!(dead_topic(name), "projects/p/topics/mail-dead");
        assert_eq!(
            dead_subscription(name),
            "projects/p/subscriptions/mail-dead"
        );
        assert_eq!((short(name), project(name)), ("mail", "p"));
    }
}
