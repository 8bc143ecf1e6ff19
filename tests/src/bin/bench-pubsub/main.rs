//! `cargo xtask bench pubsub`: publishing and handling through a topic, beside a bare bounded channel (memory) and beside
//! bare async-nats (NATS), with the same serialisation, acknowledgements and concurrency; and what a million messages
//! that wait for a slow subscriber cost in memory. How much slower an ordered topic is than another one.
//!
//! Each part is a process of its own, because statics are bound once.

#![allow(
    clippy::print_stdout,
    reason = "a bench is a command; printing is its output"
)]

mod memory;
mod nats;
mod ordered;
mod server;
mod waiting;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use underlay::prelude::*;
use underlay_tests::bench::{finish, folder, remove};

/// A message of about two hundred bytes.
#[derive(Message, Serialize, Deserialize, Clone)]
struct Event {
    number: u64,
    customer: String,
    text: String,
}

impl Event {
    fn new(number: u64) -> Self {
        Self {
            number,
            customer: format!("customer {}", number % 1000),
            text: "a text that stands for what an application says in its messages, neither long nor short, with a \
                   few words more"
                .to_owned(),
        }
    }
}

#[topic("events")]
static EVENTS: Topic<Event>;

/// The same with a key.
#[derive(Message, Serialize, Deserialize, Clone)]
struct Payment {
    #[message(attribute)]
    customer: u64,
    event: Event,
}

#[topic("payments", ordered_by = customer)]
static PAYMENTS: Topic<Payment>;

/// What handlers do: they look at the message, count it, and tell the time where somebody measures latency.
static HANDLED: AtomicU64 = AtomicU64::new(0);
/// Handlers wait while this is false.
static OPEN: std::sync::LazyLock<watch::Sender<bool>> =
    std::sync::LazyLock::new(|| watch::Sender::new(true));
/// Where the number of handled messages is announced, once it is reached.
static TARGET: AtomicU64 = AtomicU64::new(u64::MAX);
static REACHED: std::sync::LazyLock<watch::Sender<u64>> =
    std::sync::LazyLock::new(|| watch::Sender::new(0));
static TIMES: std::sync::OnceLock<mpsc::UnboundedSender<Instant>> = std::sync::OnceLock::new();

#[subscription(EVENTS, "count", max_concurrency = 100)]
async fn count(event: Event) -> underlay::Result<()> {
    let mut open = OPEN.subscribe();
    // The sender is a static.
    let _ = open.wait_for(|open| *open).await;
    handle(&event);
    Ok(())
}

#[subscription(PAYMENTS, "count", max_concurrency = 100)]
async fn count_payments(payment: Payment) -> underlay::Result<()> {
    count(payment.event).await
}

/// The handler of both sides.
fn handle(event: &Event) {
    std::hint::black_box(event);
    if let Some(times) = TIMES.get() {
        let _ = times.send(Instant::now());
    }
    let handled = HANDLED.fetch_add(1, Ordering::Relaxed) + 1;
    if handled == TARGET.load(Ordering::Relaxed) {
        REACHED.send_replace(handled);
    }
}

/// Begins to count; call [`reached`] then.
fn expect(count: u64) {
    HANDLED.store(0, Ordering::Relaxed);
    REACHED.send_replace(0);
    TARGET.store(count, Ordering::Relaxed);
}

/// Waits until as many messages are handled as were expected.
async fn reached() {
    // The sender is a static.
    let _ = REACHED.subscribe().wait_for(|count| *count > 0).await;
}

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    let part = match argument.as_deref() {
        Some("memory") => {
            runtime().and_then(|it| it.block_on(memory::compare("without a file", 200_000)))
        }
        Some("memory-file") => {
            runtime().and_then(|it| it.block_on(memory::compare("with a file", 50_000)))
        }
        Some("nats") => runtime().and_then(|it| it.block_on(nats::compare())),
        Some("waiting-memory") => {
            runtime().and_then(|it| it.block_on(waiting::measure("memory, with a file")))
        }
        Some("waiting-nats") => runtime().and_then(|it| it.block_on(waiting::measure("nats"))),
        _ => all(),
    };
    finish(part)
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the async runtime could not be started: {error}"))
}

fn all() -> Result<Vec<String>, String> {
    let files = folder("pubsub")?;
    remove(&files)?;
    std::fs::create_dir_all(&files).map_err(|error| error.to_string())?;
    let memory = |path: Option<&Path>| {
        let mut broker = json!({ "type": "memory", "topics": {
            "events": { "subscriptions": { "count": {} } },
            "payments": { "subscriptions": { "count": {} } },
        } });
        if let Some(path) = path {
            broker["path"] = path.display().to_string().into();
        }
        broker
    };
    let server = server::Server::start(&files.join("nats"))?;
    let nats = json!({
        "type": "nats",
        "hosts": server.address,
        "provision": true,
        "topics": {
            "events": { "name": "events", "subscriptions": { "count": { "name": "count" } } },
            "payments": { "name": "payments", "subscriptions": { "count": { "name": "count" } } },
        },
    });
    let waiting = server::Server::start(&files.join("nats-waiting"))?;
    let mut waiting_nats = nats.clone();
    waiting_nats["hosts"] = waiting.address.clone().into();
    let parts = [
        ("memory", memory(None)),
        ("memory-file", memory(Some(&files.join("throughput.redb")))),
        ("nats", nats),
        ("waiting-memory", memory(Some(&files.join("waiting.redb")))),
        ("waiting-nats", waiting_nats),
    ];
    let mut exceeded = Vec::new();
    for (part, broker) in parts {
        if !run(part, &broker)? {
            exceeded.push(format!("{part}: see above"));
        }
    }
    Ok(exceeded)
}

/// Runs a part as a deployment is run; false if it exceeds what is allowed.
fn run(part: &str, broker: &Value) -> Result<bool, String> {
    let program =
        std::env::current_exe().map_err(|error| format!("where is this program? {error}"))?;
    let infra = json!({ "pubsub": [broker] });
    let status = Command::new(program)
        .arg(part)
        .env("UNDERLAY_INFRA", infra.to_string())
        .env("RUST_LOG", "warn")
        .status()
        .map_err(|error| format!("the part {part} could not be run: {error}"))?;
    Ok(status.success())
}

async fn start() -> Result<underlay::Running, String> {
    underlay::start()
        .await
        .map_err(|error| format!("{error:?}"))
}

async fn stop(running: underlay::Running) -> Result<(), String> {
    let stopped = running.shutdown().await;
    stopped.map_err(|error| format!("{error:?}"))
}

/// Messages per second.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn rate(count: u64, begin: Instant) -> f64 {
    count as f64 / begin.elapsed().as_secs_f64()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
