//! What order costs: the same messages through a topic that keeps them in order by key, beside one that does not.

use std::time::Instant;

use crate::{EVENTS, Event, OPEN, PAYMENTS, Payment, expect, median, rate, reached};

const COUNT: u64 = 20_000;
const KEYS: u64 = 1_000;
const BATCH: u64 = 500;
const ROUNDS: usize = 5;

/// How fast the messages are handled that wait already. Wants a running application.
pub(crate) async fn compare() -> Result<(), String> {
    let mut rates = [Vec::new(), Vec::new()];
    for round in 0..=ROUNDS {
        for (is_ordered, rates) in rates.iter_mut().enumerate() {
            OPEN.send_replace(false);
            expect(COUNT);
            for first in (0..COUNT).step_by(BATCH as usize) {
                let numbers = first..first + BATCH;
                let published = if is_ordered == 1 {
                    let batch: Vec<Payment> = numbers.map(Payment::new).collect();
                    PAYMENTS.publish_batch(&batch).await
                } else {
                    let batch: Vec<Event> = numbers.map(Event::new).collect();
                    EVENTS.publish_batch(&batch).await
                };
                published.map_err(|error| format!("{error:?}"))?;
            }
            let begin = Instant::now();
            OPEN.send_replace(true);
            reached().await;
            // The first round is for connections and caches.
            if round > 0 {
                rates.push(rate(COUNT, begin));
            }
        }
    }
    let [mut unordered, mut ordered] = rates;
    let (unordered, ordered) = (median(&mut unordered), median(&mut ordered));
    println!(
        "  {COUNT} messages in order by {KEYS} keys: unordered {unordered:>8.0}/s   ordered {ordered:>8.0}/s   ratio {:.3}",
        ordered / unordered
    );
    Ok(())
}

impl Payment {
    fn new(number: u64) -> Self {
        Self {
            customer: number % KEYS,
            event: Event::new(number),
        }
    }
}
