//! The documents that are generated from the code are what the code says now.
//!
//! `cargo xtask docs` runs this with `UNDERLAY_UPDATE_DOCS` set; then each document is written instead of compared. It is
//! a test so that `cargo test` finds a stale document, and so that `cargo xtask` itself needs none of our crates.

use std::path::Path;

use async_trait::async_trait;
use serde_json::Value;
use underlay_backends::capabilities::{Backend, Capabilities, TopicCapabilities, backends};
use underlay_backends::conformance::{Clock, TopicHarness, TopicUnderTest, topic_cases};
use underlay_backends::topic::TopicOptions;

/// Compares a document with what was generated, or writes it.
#[track_caller]
fn check(path: &str, generated: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if std::env::var_os("UNDERLAY_UPDATE_DOCS").is_some() {
        let folder = file.parent().expect("a document is in a folder");
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&file, generated))
            .expect("the checkout is writable");
        return;
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    // git may give it other line ends.
    assert!(
        written.replace("\r\n", "\n") == generated,
        "{path} is not what the code says; run `cargo xtask docs`"
    );
}

/// A schema as a document; sorted, because another crate's features decide whether objects keep their order.
fn pretty(mut schema: Value) -> String {
    schema.sort_all_objects();
    let text = serde_json::to_string_pretty(&schema).expect("a JSON value can always be written");
    text + "\n"
}

/// A table for each primitive: a row for each backend, a column for each capability.
fn tables(backends: &[Backend]) -> String {
    let mut text = "\
# Backends

What each backend can do, by primitive.
This file is generated from what the backends declare of themselves, which the conformance suites check; `cargo xtask docs` writes it.
"
    .to_owned();
    let mut primitive = "";
    for backend in backends {
        let rows = backend.capabilities.rows();
        if backend.capabilities.primitive() != primitive {
            primitive = backend.capabilities.primitive();
            let headings: Vec<&str> = rows.iter().map(|(heading, _)| *heading).collect();
            let line = "---|".repeat(headings.len() + 1);
            text += &format!(
                "\n## {primitive}\n\n| Provider | {} |\n|{line}\n",
                headings.join(" | ")
            );
        }
        let variant = backend
            .variant
            .map(|variant| format!(", {variant}"))
            .unwrap_or_default();
        let values: Vec<String> = rows.into_iter().map(|(_, value)| value).collect();
        text += &format!(
            "| `{}`{variant} | {} |\n",
            backend.provider,
            values.join(" | ")
        );
    }
    text
}

/// How each broker keeps the messages of one key in order, which no capability says.
const ORDER: &str = "
### How order is kept

Messages of one key are delivered one after the other, across retries and across all processes that receive; a message that fails holds up its key and no other.
Of memory and NATS the throughput is what `cargo xtask bench pubsub` printed for 1,000 keys, of Google and Amazon what they document.

| Broker | How | Throughput |
|---|---|---|
| memory | one queue in the process; up to 16,384 messages may wait behind blocked keys before other keys wait, too | 0.6 to 0.9 of an unordered topic's |
| NATS | one instance at a time receives, by a claim that is renewed every few seconds; another takes over when it dies. Up to 1,000 messages may wait behind blocked keys | 0.4 of an unordered topic's: 20,000 to 28,000 messages a second |
| Google Pub/Sub | Google's ordering keys | 1 MB/s for each key |
| SNS and SQS | FIFO topic and queues, the key is the message group | 300 messages a second for each key |
";

/// A backend of topics of which only is asked what it says of itself.
struct Declared(TopicCapabilities);

#[async_trait]
impl TopicHarness for Declared {
    fn capabilities(&self) -> TopicCapabilities {
        self.0
    }

    fn clock(&self) -> Clock {
        Clock::Paused
    }

    async fn fresh(&self, _: TopicOptions, _: &[&str]) -> TopicUnderTest {
        panic!("no case is run here")
    }
}

/// The cases of the suite of topics, and for each backend whether it applies.
fn cases(backends: &[Backend]) -> String {
    let topics: Vec<(String, TopicCapabilities)> = backends
        .iter()
        .filter_map(|backend| match backend.capabilities {
            Capabilities::Topic(capable) => {
                let variant = backend.variant.map(|it| format!(", {it}"));
                let name = format!("`{}`{}", backend.provider, variant.unwrap_or_default());
                Some((name, capable))
            }
            _ => None,
        })
        .collect();
    let names: Vec<&str> = topics.iter().map(|(name, _)| name.as_str()).collect();
    let mut text = format!(
        "
### The cases of the suite

A case is a bullet of the same name in `crates/underlay-backends/src/topic.rs`; `yes` is a case that the tests run and that passes.

| Case | {} |
|{}
",
        names.join(" | "),
        "---|".repeat(names.len() + 1)
    );
    let columns: Vec<Vec<(&str, String)>> = topics
        .iter()
        .map(|(_, capable)| {
            let cases = topic_cases(Declared(*capable));
            let cell = |name: &str, lacking: Option<&str>| match lacking {
                Some(lacking) => format!("no: it lacks {lacking}"),
                None if name == "publish_delayed" && !capable.delay => {
                    "no: it lacks delay, and says so".to_owned()
                }
                None => "yes".to_owned(),
            };
            cases
                .iter()
                .map(|case| (case.name, cell(case.name, case.lacking)))
                .collect()
        })
        .collect();
    let Some(first) = columns.first() else {
        return text;
    };
    for (row, (name, _)) in first.iter().enumerate() {
        let cells: Vec<&str> = columns
            .iter()
            .map(|column| column[row].1.as_str())
            .collect();
        text += &format!("| `{name}` | {} |\n", cells.join(" | "));
    }
    text
}

#[test]
fn the_schema_of_the_model() {
    check(
        "docs/schema/model.json",
        &pretty(underlay_model::schema::model()),
    );
}

#[test]
fn the_schema_of_the_infra_config() {
    check(
        "docs/schema/infra.json",
        &pretty(underlay_model::schema::infra()),
    );
}

#[test]
fn what_backends_can_do() {
    let backends = backends();
    check(
        "docs/backends.md",
        &(tables(&backends) + ORDER + &cases(&backends)),
    );
}
