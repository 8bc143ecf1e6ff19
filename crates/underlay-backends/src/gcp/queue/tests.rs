//! The queue without Google: what is told to whom, by a clock that stands still.

use std::sync::{Arc, atomic::AtomicU32, atomic::Ordering::Relaxed};

use super::*;

/// Counts what it was told.
#[derive(Clone, Default)]
struct Told {
    acked: Arc<AtomicU32>,
    back: Arc<AtomicU32>,
    fails: bool,
}

impl Handle for Told {
    async fn ack(self, resource: &str) -> Result<()> {
        self.acked.fetch_add(1, Relaxed);
        if self.fails {
            return Err(crate::gcp::error::not_confirmed(resource));
        }
        Ok(())
    }

    fn give_back(self) {
        self.back.fetch_add(1, Relaxed);
    }
}

const LEASE: Duration = Duration::from_secs(30);

fn arrive(queue: &Queue<Told>, id: &str, key: Option<&str>, told: &Told) {
    queue.arrive(Delivery {
        id: id.to_owned(),
        key: key.map(str::to_owned),
        attempt: None,
        published_at: SystemTime::UNIX_EPOCH,
        message: Message::default(),
        handles: vec![told.clone()],
    });
}

async fn take(queue: &Queue<Told>) -> Vec<(String, u32, Receipt)> {
    let received = queue.receive(10, LEASE).await.expect("open");
    let received = received.into_iter();
    received.map(|it| (it.id, it.attempt, it.receipt)).collect()
}

async fn ack(queue: &Queue<Told>, receipt: &Receipt) -> Result<()> {
    let ending = queue.end(receipt).expect("a receipt of this queue");
    ending.expect("leased").ack().await
}

#[tokio::test(start_paused = true)]
async fn one_message_that_comes_twice_is_one() {
    let (queue, told) = (Queue::new("s"), Told::default());
    arrive(&queue, "1", None, &told);
    arrive(&queue, "1", None, &told);
    let taken = take(&queue).await;
    assert_eq!(taken.len(), 1);
    arrive(&queue, "1", None, &told);
    assert_eq!(queue.waiting(), 0);
    ack(&queue, &taken[0].2).await.expect("acknowledged");
    assert_eq!((told.acked.load(Relaxed), told.back.load(Relaxed)), (3, 0));
    assert!(queue.end(&taken[0].2).expect("of this queue").is_none());
}

#[tokio::test(start_paused = true)]
async fn without_googles_count_attempts_are_counted_here() {
    let (queue, told) = (Arc::new(Queue::new("s")), Told::default());
    let clock = Arc::clone(&queue);
    tokio::spawn(async move { clock.keep_time().await });
    for attempt in 1..4 {
        arrive(&queue, "1", None, &told);
        let taken = take(&queue).await;
        assert_eq!(taken[0].1, attempt);
        tokio::time::sleep(LEASE * 2).await;
        assert_eq!(told.back.load(Relaxed), attempt);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_waits_for_its_first_message() {
    let (queue, told) = (Arc::new(Queue::new("s")), Told::default());
    let clock = Arc::clone(&queue);
    tokio::spawn(async move { clock.keep_time().await });
    for id in ["1", "2", "3"] {
        arrive(&queue, id, Some("k"), &told);
    }
    let first = take(&queue).await;
    queue.nack(&first[0].2, LEASE).expect("of this queue");
    let again = take(&queue).await;
    assert_eq!((again.len(), &*again[0].0, again[0].1), (1, "1", 2));
    assert_eq!(told.back.load(Relaxed), 0);
    ack(&queue, &again[0].2).await.expect("acknowledged");
    assert_eq!(take(&queue).await[0].0, "2");
}

#[tokio::test(start_paused = true)]
async fn what_google_does_not_confirm_takes_the_rest_of_its_key_along() {
    let (queue, told) = (Queue::new("s"), Told::default());
    let failing = Told {
        fails: true,
        ..told.clone()
    };
    arrive(&queue, "1", Some("k"), &failing);
    for id in ["2", "3"] {
        arrive(&queue, id, Some("k"), &told);
    }
    let first = take(&queue).await;
    ack(&queue, &first[0].2).await.expect_err("not confirmed");
    assert_eq!((queue.waiting(), told.back.load(Relaxed)), (0, 2));
    for id in ["1", "2"] {
        arrive(&queue, id, Some("k"), &told);
    }
    assert_eq!(take(&queue).await[0].0, "1");
}

#[tokio::test(start_paused = true)]
async fn closed_it_gives_all_back() {
    let (queue, told) = (Queue::new("s"), Told::default());
    for (id, key) in [("1", Some("k")), ("2", Some("k")), ("3", None)] {
        arrive(&queue, id, key, &told);
    }
    assert_eq!(take(&queue).await.len(), 2);
    queue.close();
    arrive(&queue, "4", None, &told);
    assert_eq!(told.back.load(Relaxed), 4);
    let error = queue.receive(1, LEASE).await.expect_err("closed");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}
