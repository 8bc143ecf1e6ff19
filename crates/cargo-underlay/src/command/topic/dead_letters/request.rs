//! What is asked of dead letters, in the words of the job and in those of the local server. Asks nobody.

use std::{fmt, str::FromStr};

use hyper::Method;

use crate::access::encoded;

/// What is asked.
#[derive(Debug)]
pub(super) enum Request {
    Counts,
    List { of: Of, limit: u32 },
    Show { of: Of, id: String },
    Release { of: Of, which: Which },
    Discard { of: Of, which: Which },
}

/// A subscription by its topic's name and its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Of {
    topic: String,
    subscription: String,
}

/// Which letters are meant.
#[derive(Debug)]
pub(super) enum Which {
    One(String),
    All,
}

impl FromStr for Of {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_name = |it: &str| !it.is_empty() && !it.contains(['/', ' ']);
        match text.split_once('/') {
            Some((topic, subscription)) if is_name(topic) && is_name(subscription) => Ok(Self {
                topic: topic.to_owned(),
                subscription: subscription.to_owned(),
            }),
            _ => Err("write the topic's name, a slash and the subscription's".to_owned()),
        }
    }
}

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.subscription)
    }
}

/// Checks an id, which is a word for the job.
pub(super) fn id(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(char::is_whitespace) {
        return Err("an id is one word".to_owned());
    }
    Ok(text.to_owned())
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(id) => f.write_str(id),
            Self::All => f.write_str("--all"),
        }
    }
}

impl Request {
    /// As `UNDERLAY_TASK` has it.
    pub(super) fn task(&self) -> String {
        let words = match self {
            Self::Counts => "list".to_owned(),
            Self::List { of, limit } => format!("list {of} --limit {limit}"),
            Self::Show { of, id } => format!("show {of} {id}"),
            Self::Release { of, which } => format!("release {of} {which}"),
            Self::Discard { of, which } => format!("discard {of} {which}"),
        };
        format!("dead-letters {words}")
    }

    /// As the local server has it.
    pub(super) fn http(&self) -> (Method, String) {
        let path = |of: &Of, rest: &str| {
            let (topic, subscription) = (encoded(&of.topic), encoded(&of.subscription));
            format!("/__underlay/dead-letters/{topic}/{subscription}{rest}")
        };
        let of_one = |which: &Which| match which {
            Which::One(id) => format!("/{}", encoded(id)),
            Which::All => String::new(),
        };
        match self {
            Self::Counts => (Method::GET, "/__underlay/dead-letters".to_owned()),
            Self::List { of, limit } => (Method::GET, path(of, &format!("?limit={limit}"))),
            Self::Show { of, id } => (Method::GET, path(of, &format!("/{}", encoded(id)))),
            Self::Release { of, which } => (
                Method::POST,
                path(of, &format!("{}/release", of_one(which))),
            ),
            Self::Discard { of, which } => (Method::DELETE, path(of, &of_one(which))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_asking() {
        let of = || "orders/billing".parse::<Of>().unwrap();
        let check = |request: Request, task: &str, method: &str, path: &str| {
            assert_eq!(request.task(), format!("dead-letters {task}"));
            let (asked, at) = request.http();
            assert_eq!(asked.as_str(), method);
            assert_eq!(at, format!("/__underlay/dead-letters{path}"));
        };
        check(Request::Counts, "list", "GET", "");
        check(
            Request::List { of: of(), limit: 7 },
            "list orders/billing --limit 7",
            "GET",
            "/orders/billing?limit=7",
        );
        check(
            Request::Show {
                of: of(),
                id: "a/1".to_owned(),
            },
            "show orders/billing a/1",
            "GET",
            "/orders/billing/a%2F1",
        );
        check(
            Request::Release {
                of: of(),
                which: Which::One("0f".to_owned()),
            },
            "release orders/billing 0f",
            "POST",
            "/orders/billing/0f/release",
        );
        check(
            Request::Release {
                of: of(),
                which: Which::All,
            },
            "release orders/billing --all",
            "POST",
            "/orders/billing/release",
        );
        check(
            Request::Discard {
                of: of(),
                which: Which::All,
            },
            "discard orders/billing --all",
            "DELETE",
            "/orders/billing",
        );
    }

    #[test]
    fn subscriptions() {
        for wrong in ["", "orders", "orders/", "/billing", "a/b/c", "a /b"] {
            assert!(wrong.parse::<Of>().is_err(), "{wrong}");
        }
        assert!(id("a b").is_err());
    }
}
