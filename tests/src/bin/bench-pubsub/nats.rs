//! A topic on NATS beside bare async-nats: the same stream, the same messages, the same acknowledgements.

use std::sync::Arc;
use std::time::Instant;

use async_nats::HeaderMap;
use async_nats::jetstream::{self, consumer::PullConsumer};
use futures_util::StreamExt as _;
use tokio::sync::Semaphore;

use crate::memory::spread_over;
use crate::{EVENTS, Event, OPEN, expect, handle, median, ordered, rate, reached, start, stop};

const COUNT: u64 = 20_000;
const ROUNDS: usize = 40;
/// How many publish at once.
const PUBLISHERS: u64 = 64;
/// How many handlers run at once, as the subscription declares it.
const HANDLERS: usize = 100;
/// What of the bare client's throughput must be left.
const LEAST: f64 = 0.95;

pub(crate) async fn compare() -> Result<Vec<String>, String> {
    let running = start().await?;
    let hosts = hosts()?;
    let text = |error: async_nats::Error| error.to_string();
    let client = async_nats::connect(&hosts)
        .await
        .map_err(|error| error.to_string())?;
    let context = jetstream::new(client);
    let stream = context
        .get_stream("events")
        .await
        .map_err(|error| error.to_string())?;
    let config = jetstream::consumer::pull::Config {
        durable_name: Some("bare".to_owned()),
        max_ack_pending: -1,
        ..Default::default()
    };
    let bare = stream
        .create_consumer(config)
        .await
        .map_err(|error| error.to_string())?;
    // How the bare client publishes: the same body, an id that makes it safe to send again, and it waits for the server's
    // word, too.
    let publish_bare = {
        let context = context.clone();
        move |number| {
            let context = context.clone();
            async move {
                let body =
                    serde_json::to_vec(&Event::new(number)).map_err(|error| error.to_string())?;
                let mut headers = HeaderMap::new();
                headers.insert("Nats-Msg-Id", format!("{:032x}", rand::random::<u128>()));
                let sent = context
                    .publish_with_headers("events", headers, body.into())
                    .await;
                let stored = sent.map_err(|error| error.to_string())?.await;
                stored.map(drop).map_err(|error| error.to_string())
            }
        }
    };
    let publish_ours = |number| async move {
        let published = EVENTS.publish(&Event::new(number)).await;
        published.map(drop).map_err(|error| format!("{error:?}"))
    };
    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        let ours_first = round % 2 == 0;
        OPEN.send_replace(false);
        expect(2 * COUNT);
        let mut published = [0.0; 2];
        for is_ours in [ours_first, !ours_first] {
            let begin = Instant::now();
            if is_ours {
                spread_over(PUBLISHERS, COUNT, publish_ours).await?;
            } else {
                spread_over(PUBLISHERS, COUNT, publish_bare.clone()).await?;
            }
            published[usize::from(is_ours)] = rate(COUNT, begin);
        }
        let mut handled = [0.0; 2];
        for is_ours in [!ours_first, ours_first] {
            expect(2 * COUNT);
            let begin = Instant::now();
            if is_ours {
                OPEN.send_replace(true);
                reached().await;
            } else {
                consume(&bare, 2 * COUNT).await.map_err(text)?;
            }
            handled[usize::from(is_ours)] = rate(2 * COUNT, begin);
        }
        // The first round is for connections and caches.
        if round > 0 {
            rounds.push([published, handled]);
        }
    }
    println!(
        "\nnats: {COUNT} messages from {PUBLISHERS} tasks, {HANDLERS} handlers at once, medians of {ROUNDS} rounds in turns"
    );
    let mut exceeded = Vec::new();
    for (index, what) in ["publish", "handle and acknowledge"]
        .into_iter()
        .enumerate()
    {
        let all = |of: fn([f64; 2]) -> f64| {
            let mut all: Vec<f64> = rounds.iter().map(|round| of(round[index])).collect();
            median(&mut all)
        };
        let (bare, ours) = (all(|it| it[0]), all(|it| it[1]));
        // Of each round, because the machine may be slower in one than in another.
        let ratio = all(|it| it[1] / it[0]);
        println!("  {what}: async-nats {bare:>8.0}/s   topic {ours:>8.0}/s   ratio {ratio:.3}");
        if ratio < LEAST {
            exceeded.push(format!(
                "nats, {what}: {ratio:.3} of the bare client's throughput; at least {LEAST} must be left"
            ));
        }
    }
    ordered::compare().await?;
    stop(running).await?;
    Ok(exceeded)
}

/// The baseline: a durable consumer whose messages are decoded, handled and acknowledged by as many tasks at once.
async fn consume(consumer: &PullConsumer, count: u64) -> Result<(), async_nats::Error> {
    let permits = Arc::new(Semaphore::new(HANDLERS));
    let mut messages = consumer.messages().await?;
    for _ in 0..count {
        let permit = Arc::clone(&permits).acquire_owned().await?;
        let Some(message) = messages.next().await else {
            return Err("the consumer ended".into());
        };
        let message = message?;
        tokio::spawn(async move {
            let _permit = permit;
            if let Ok(event) = serde_json::from_slice(&message.payload) {
                handle(&event);
            }
            // What is not acknowledged comes again, and the count of this round would be wrong, which shows.
            let _ = message.ack().await;
        });
    }
    let _all = permits.acquire_many(HANDLERS.try_into()?).await?;
    Ok(())
}

/// Where the server is, as the infra config says.
fn hosts() -> Result<String, String> {
    let infra = std::env::var("UNDERLAY_INFRA").map_err(|error| error.to_string())?;
    let infra: serde_json::Value =
        serde_json::from_str(&infra).map_err(|error| error.to_string())?;
    let hosts = infra["pubsub"][0]["hosts"].as_str();
    hosts
        .map(str::to_owned)
        .ok_or_else(|| "the infra config has no hosts".to_owned())
}
