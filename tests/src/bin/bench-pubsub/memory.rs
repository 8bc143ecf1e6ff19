//! A topic in memory beside a bounded channel with the same serialisation.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::{EVENTS, Event, TIMES, expect, handle, median, ordered, rate, reached, start, stop};

const PUBLISHERS: u64 = 16;
const ROUNDS: usize = 5;
const ROUND_TRIPS: usize = 5_000;

pub(crate) async fn compare(what: &str, count: u64) -> Result<Vec<String>, String> {
    let running = start().await?;
    let channel = Arc::new(channel());
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let begin = Instant::now();
        expect(count);
        let sender = Arc::clone(&channel);
        spread(count, move |number| {
            let sender = Arc::clone(&sender);
            async move { send(&sender, &Event::new(number)).await }
        })
        .await?;
        reached().await;
        let of_channel = rate(count, begin);

        let begin = Instant::now();
        expect(count);
        spread(
            count,
            |number| async move { publish(&Event::new(number)).await },
        )
        .await?;
        reached().await;
        // The first round is for caches and allocators.
        if round > 0 {
            bare.push(of_channel);
            ours.push(rate(count, begin));
        }
    }
    let (ours, bare) = (median(&mut ours), median(&mut bare));
    println!(
        "\nmemory, {what}: {count} messages from {PUBLISHERS} tasks to a handler, median of {ROUNDS} rounds"
    );
    println!(
        "  bounded channel {bare:>9.0}/s   topic {ours:>9.0}/s   ratio {:.3}",
        ours / bare
    );

    ordered::compare().await?;

    let (sender, mut times) = mpsc::unbounded_channel();
    TIMES.set(sender).map_err(|_| "measured already")?;
    expect(u64::MAX);
    let (mut of_channel, mut of_topic) = (Vec::new(), Vec::new());
    for number in 0..ROUND_TRIPS as u64 {
        let event = Event::new(number);
        let begin = Instant::now();
        send(&channel, &event).await?;
        let handled = times.recv().await.ok_or("nobody handles")?;
        of_channel.push(handled.saturating_duration_since(begin));
        let begin = Instant::now();
        publish(&event).await?;
        let handled = times.recv().await.ok_or("nobody handles")?;
        of_topic.push(handled.saturating_duration_since(begin));
    }
    for (percent, index) in [(50, ROUND_TRIPS / 2), (99, ROUND_TRIPS * 99 / 100)] {
        let (bare, ours) = (at(&mut of_channel, index), at(&mut of_topic, index));
        println!(
            "  latency p{percent}: bounded channel {bare:.1?}   topic {ours:.1?}   ratio {:.2}",
            ours.as_secs_f64() / bare.as_secs_f64()
        );
    }
    stop(running).await?;
    Ok(Vec::new())
}

fn at(times: &mut [Duration], index: usize) -> Duration {
    times.sort();
    times.get(index).copied().unwrap_or_default()
}

/// The baseline: a task that receives, decodes and handles.
fn channel() -> mpsc::Sender<Vec<u8>> {
    let (sender, mut receiver) = mpsc::channel::<Vec<u8>>(1000);
    tokio::spawn(async move {
        while let Some(body) = receiver.recv().await {
            if let Ok(event) = serde_json::from_slice(&body) {
                handle(&event);
            }
        }
    });
    sender
}

async fn send(channel: &mpsc::Sender<Vec<u8>>, event: &Event) -> Result<(), String> {
    let body = serde_json::to_vec(event).map_err(|error| error.to_string())?;
    channel.send(body).await.map_err(|error| error.to_string())
}

async fn publish(event: &Event) -> Result<(), String> {
    let published = EVENTS.publish(event).await;
    published.map(drop).map_err(|error| format!("{error:?}"))
}

/// Does something for each number up to `count`, from as many tasks as there are publishers.
pub(crate) async fn spread<F>(
    count: u64,
    publish: impl Fn(u64) -> F + Clone + Send + 'static,
) -> Result<(), String>
where
    F: Future<Output = Result<(), String>> + Send,
{
    spread_over(PUBLISHERS, count, publish).await
}

/// The same with a number of tasks.
pub(crate) async fn spread_over<F>(
    tasks: u64,
    count: u64,
    publish: impl Fn(u64) -> F + Clone + Send + 'static,
) -> Result<(), String>
where
    F: Future<Output = Result<(), String>> + Send,
{
    let mut publishers = JoinSet::new();
    for task in 0..tasks {
        let publish = publish.clone();
        publishers.spawn(async move {
            for number in (task..count).step_by(tasks.try_into().unwrap_or(1)) {
                publish(number).await?;
            }
            Ok::<(), String>(())
        });
    }
    while let Some(ended) = publishers.join_next().await {
        ended.map_err(|error| error.to_string())??;
    }
    Ok(())
}
