//! How answers about dead letters look for people. Asks nobody.

use std::collections::BTreeMap;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::request::Request;
use crate::{failure::Failure, output::pretty, table::table};

/// How much of a letter's reason stands in its row.
const REASON: usize = 60;

/// What is printed.
#[derive(Debug, PartialEq)]
pub(super) struct View {
    pub(super) text: String,
    /// What is said beside it.
    pub(super) note: Option<String>,
}

#[derive(Deserialize)]
struct Counts {
    subscriptions: Vec<Count>,
    counted_up_to: usize,
}

#[derive(Deserialize)]
struct Count {
    topic: String,
    subscription: String,
    dead_letters: usize,
}

#[derive(Deserialize)]
struct List {
    dead_letters: Vec<Letter>,
    more: bool,
}

#[derive(Deserialize)]
struct Show {
    dead_letter: Letter,
}

#[derive(Deserialize)]
struct Released {
    released: usize,
}

#[derive(Deserialize)]
struct Discarded {
    discarded: usize,
}

#[derive(Deserialize)]
struct Letter {
    id: String,
    attempts: u32,
    failed_at: String,
    reason: String,
    ordering_key: Option<String>,
    attributes: BTreeMap<String, String>,
    /// `message`, `text` or `hex`.
    #[serde(flatten)]
    body: BTreeMap<String, Value>,
}

/// The answer to a request as text.
///
/// # Errors
///
/// When it is not what this version knows.
pub(super) fn text(request: &Request, answer: Value) -> Result<View, Failure> {
    Ok(match request {
        Request::Counts => counts(&read(answer)?),
        Request::List { of, limit } => {
            let list: List = read(answer)?;
            let rows: Vec<_> = list.dead_letters.iter().map(row).collect();
            let heading = ["ID", "ATTEMPTS", "FAILED AT", "KEY", "REASON"];
            View {
                text: match rows.as_slice() {
                    [] => format!("`{of}` has no dead letters\n"),
                    rows => table(heading, rows),
                },
                note: list.more.then(|| {
                    format!("these are the oldest {limit}; there are more, which `--limit` shows")
                }),
            }
        }
        Request::Show { .. } => only(show(&read::<Show>(answer)?.dead_letter)),
        Request::Release { of, .. } => {
            let Released { released } = read(answer)?;
            only(format!("{of}: released {released}\n"))
        }
        Request::Discard { of, .. } => {
            let Discarded { discarded } = read(answer)?;
            only(format!("{of}: discarded {discarded}\n"))
        }
    })
}

fn read<T: DeserializeOwned>(answer: Value) -> Result<T, Failure> {
    serde_json::from_value(answer).map_err(|error| {
        Failure::error(format!(
            "the application's answer is not one that this version of cargo-underlay knows ({error}); use the version \
             that the application was built with, or read it with --json"
        ))
    })
}

fn only(text: String) -> View {
    View { text, note: None }
}

fn counts(counts: &Counts) -> View {
    let limit = counts.counted_up_to;
    let rows: Vec<_> = counts
        .subscriptions
        .iter()
        .map(|it| {
            let or_more = if it.dead_letters >= limit { "+" } else { "" };
            [
                format!("{}/{}", it.topic, it.subscription),
                format!("{}{or_more}", it.dead_letters),
            ]
        })
        .collect();
    let is_more = counts
        .subscriptions
        .iter()
        .any(|it| it.dead_letters >= limit);
    View {
        text: match rows.as_slice() {
            [] => "no subscription is declared\n".to_owned(),
            rows => table(["SUBSCRIPTION", "DEAD LETTERS"], rows),
        },
        note: is_more.then(|| format!("letters are counted up to {limit}")),
    }
}

fn row(letter: &Letter) -> [String; 5] {
    [
        letter.id.clone(),
        letter.attempts.to_string(),
        letter.failed_at.clone(),
        letter
            .ordering_key
            .clone()
            .unwrap_or_else(|| "-".to_owned()),
        shortened(&letter.reason),
    ]
}

/// The first line of a reason, cut where it is long.
fn shortened(reason: &str) -> String {
    let line = reason.lines().next().unwrap_or_default();
    let is_whole = line.len() == reason.trim_end().len();
    if is_whole && line.chars().count() <= REASON {
        return line.to_owned();
    }
    let start: String = line.chars().take(REASON).collect();
    format!("{}…", start.trim_end())
}

fn show(letter: &Letter) -> String {
    let mut lines = vec![
        format!("id: {}", letter.id),
        format!("attempts: {}", letter.attempts),
        format!("failed at: {}", letter.failed_at),
        format!("reason: {}", letter.reason.replace('\n', "\n  ")),
    ];
    if let Some(key) = &letter.ordering_key {
        lines.push(format!("ordering key: {key}"));
    }
    if !letter.attributes.is_empty() {
        lines.push("attributes:".to_owned());
        let attributes = letter.attributes.iter();
        lines.extend(attributes.map(|(name, value)| format!("  {name}: {value}")));
    }
    for (form, body) in &letter.body {
        lines.push(match (form.as_str(), body) {
            ("message", message) => format!("message:\n{}", pretty(message)),
            ("text", Value::String(text)) => format!("message, which is not JSON:\n{text}"),
            ("hex", Value::String(hex)) => format!("message, which is not text, in hex:\n{hex}"),
            (other, value) => format!("{other}: {value}"),
        });
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::command::topic::dead_letters::request::Which;

    fn of<T: std::str::FromStr<Err = String>>() -> T {
        "orders/billing".parse().unwrap()
    }

    #[track_caller]
    fn check(request: &Request, answer: Value, text: &str, note: Option<&str>) {
        let view = super::text(request, answer).unwrap();
        assert_eq!((view.text.as_str(), view.note.as_deref()), (text, note));
    }

    fn letter() -> Value {
        json!({
            "id": "0f", "attempts": 3, "failed_at": "2026-01-02T03:04:05.006Z", "reason": "no stock\nfor weeks",
            "ordering_key": null, "attributes": { "customer": "ann" }, "message": { "order_id": 7 },
        })
    }

    #[test]
    fn tables() {
        let count = |n: usize| {
            json!({
                "subscriptions": [
                    { "topic": "orders", "subscription": "billing", "dead_letters": n },
                    { "topic": "orders", "subscription": "mail", "dead_letters": 0 },
                ],
                "counted_up_to": 1000,
            })
        };
        check(
            &Request::Counts,
            count(2),
            "SUBSCRIPTION    DEAD LETTERS\norders/billing  2\norders/mail     0\n",
            None,
        );
        check(
            &Request::Counts,
            count(1000),
            "SUBSCRIPTION    DEAD LETTERS\norders/billing  1000+\norders/mail     0\n",
            Some("letters are counted up to 1000"),
        );
        let list = Request::List { of: of(), limit: 1 };
        check(
            &list,
            json!({ "dead_letters": [], "more": false }),
            "`orders/billing` has no dead letters\n",
            None,
        );
        check(
            &list,
            json!({ "dead_letters": [letter()], "more": true }),
            "ID  ATTEMPTS  FAILED AT                 KEY  REASON\n\
             0f  3         2026-01-02T03:04:05.006Z  -    no stock…\n",
            Some("these are the oldest 1; there are more, which `--limit` shows"),
        );
        let which = Which::All;
        check(
            &Request::Release { of: of(), which },
            json!({ "released": 2 }),
            "orders/billing: released 2\n",
            None,
        );
        assert!(super::text(&list, json!({ "released": 2 })).is_err());
    }

    #[test]
    fn one_letter() {
        let show = Request::Show {
            of: of(),
            id: "0f".to_owned(),
        };
        let start = "id: 0f\nattempts: 3\nfailed at: 2026-01-02T03:04:05.006Z\nreason: no stock\n  for weeks\n";
        check(
            &show,
            json!({ "dead_letter": letter() }),
            &format!("{start}attributes:\n  customer: ann\nmessage:\n{{\n  \"order_id\": 7\n}}\n"),
            None,
        );
        let mut other = letter();
        other["attributes"] = json!({});
        other["ordering_key"] = json!("k");
        other["text"] = json!("{no");
        other.as_object_mut().unwrap().remove("message");
        check(
            &show,
            json!({ "dead_letter": other }),
            &format!("{start}ordering key: k\nmessage, which is not JSON:\n{{no\n"),
            None,
        );
    }

    #[test]
    fn reasons() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&"x".repeat(60)), "x".repeat(60));
        assert_eq!(shortened(&"é".repeat(61)), format!("{}…", "é".repeat(60)));
    }
}
