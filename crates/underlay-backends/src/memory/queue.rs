//! The messages that wait for one subscription: which may be delivered, which are leased, which are due when.
//!
//! Knows nothing of files, channels or waiting: every method is a short section under one lock, and the time is an
//! argument. `subscription.rs` waits, and `journal.rs` keeps.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::{sync::Notify, time::Instant};

use crate::topic::{DeadLetter, Message};

/// One accepted message, shared by the subscriptions that have not settled it.
pub(super) struct Stored {
    /// Its place in the order of acceptance.
    pub(super) seq: u64,
    pub(super) id: u128,
    pub(super) published_at: SystemTime,
    /// When it was accepted, on the clock that retention is measured by.
    pub(super) accepted: Instant,
    /// How old it was then: above zero when it comes from a file.
    pub(super) age_when_accepted: Duration,
    /// When it may be delivered, if not at once.
    pub(super) not_before: Option<Instant>,
    pub(super) ordering_key: Option<Arc<str>>,
    /// `None` when the message is only in the file.
    pub(super) hot: Option<Hot>,
}

impl Stored {
    fn age(&self, now: Instant) -> Duration {
        self.age_when_accepted + now.saturating_duration_since(self.accepted)
    }
}

/// A message kept in memory, and its share of what may be kept.
pub(super) struct Hot {
    pub(super) message: Message,
    budget: Arc<AtomicUsize>,
    size: usize,
}

impl Hot {
    /// Keeps a message if its `size` fits into what is left of `budget`.
    pub(super) fn within(message: Message, size: usize, budget: &Arc<AtomicUsize>) -> Option<Self> {
        budget
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                left.checked_sub(size)
            })
            .is_ok()
            .then(|| Self {
                message,
                budget: Arc::clone(budget),
                size,
            })
    }
}

impl Drop for Hot {
    fn drop(&mut self) {
        self.budget.fetch_add(self.size, Ordering::AcqRel);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Behind an earlier message of its key.
    Blocked,
    /// May be delivered.
    Ready,
    /// Delivered; may be delivered again from then on.
    Leased(Instant),
    /// Given back; may be delivered again from then on.
    Delayed(Instant),
}

struct Entry {
    stored: Arc<Stored>,
    attempts: u32,
    /// The number of its last delivery, unique in the broker.
    delivery: u64,
    state: State,
}

/// One delivery.
#[derive(Clone)]
pub(super) struct Taken {
    pub(super) stored: Arc<Stored>,
    pub(super) attempt: u32,
    pub(super) delivery: u64,
}

/// What [`Queue::take`] found.
pub(super) struct Take {
    pub(super) taken: Vec<Taken>,
    /// Messages that were removed because they are older than the retention.
    pub(super) expired: Vec<Arc<Stored>>,
    /// When a message becomes deliverable by the passing of time.
    pub(super) next_due: Option<Instant>,
}

/// How many messages a subscription has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Not delivered, or to be delivered again.
    pub waiting: u64,
    /// Delivered and neither acknowledged nor given back.
    pub leased: u64,
}

#[derive(Default)]
struct Waiting {
    entries: HashMap<u64, Entry>,
    ready: BTreeSet<u64>,
    timers: BTreeSet<(Instant, u64)>,
    /// Ordered topics only: the unsettled messages of each key; all but the first are blocked.
    keys: HashMap<Arc<str>, VecDeque<u64>>,
    dead: VecDeque<DeadLetter>,
    /// Where there is a file: the place of the first message that is only there. Those before it are here or settled.
    tail: Option<u64>,
    /// How many messages are only in the file.
    in_file: u64,
    /// Where there is a file: the last place that is known of.
    last: u64,
    closed: bool,
}

/// How many messages of a queue with a file are in memory at most; the others are read when there is room. On an ordered
/// topic, so many may wait behind blocked keys before other keys wait, too.
const WINDOW: usize = 16_384;

/// Where the next messages are to be read from.
pub(super) struct Wanted {
    pub(super) from: u64,
    pub(super) limit: usize,
    /// The last place that was known of before.
    last: u64,
}

/// The queue of one subscription.
pub(super) struct Queue {
    /// The subscription's number in the file; 0 without one.
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) ordered: bool,
    pub(super) notify: Notify,
    /// Held by who reads from the file.
    pub(super) reading: tokio::sync::Mutex<()>,
    waiting: Mutex<Waiting>,
}

impl Queue {
    /// A queue of which so many messages are in the file, up to the place `last`.
    pub(super) fn new(number: u32, name: String, ordered: bool, in_file: u64, last: u64) -> Self {
        Self {
            number,
            name,
            ordered,
            notify: Notify::new(),
            reading: tokio::sync::Mutex::default(),
            waiting: Mutex::new(Waiting {
                tail: (in_file > 0).then_some(0),
                in_file,
                last,
                ..Waiting::default()
            }),
        }
    }

    /// A panic under the lock would be a defect of ours; the maps stay usable, so it is not spread to every caller.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds new messages in the order of acceptance and wakes the receivers. What there is no room for stays in the file.
    pub(super) fn push(&self, messages: impl IntoIterator<Item = Arc<Stored>>) {
        let mut waiting = self.lock();
        for stored in messages {
            let has_file = self.number != 0;
            if has_file {
                if stored.seq <= waiting.last {
                    // Read from the file already.
                    continue;
                }
                waiting.last = stored.seq;
                if waiting.tail.is_some() || waiting.entries.len() >= WINDOW {
                    waiting.tail.get_or_insert(stored.seq);
                    waiting.in_file += 1;
                    continue;
                }
            }
            waiting.insert(stored, 0, self.ordered);
        }
        drop(waiting);
        self.notify.notify_waiters();
    }

    /// What is to be read from the file, if there is room for it.
    pub(super) fn wanted(&self) -> Option<Wanted> {
        let waiting = self.lock();
        let from = waiting.tail.filter(|_| waiting.has_room())?;
        Some(Wanted {
            from,
            limit: WINDOW / 2,
            last: waiting.last,
        })
    }

    /// Adds what was read from the file, each with the deliveries that it has had.
    pub(super) fn load(&self, wanted: &Wanted, messages: Vec<(Arc<Stored>, u32)>) {
        let mut waiting = self.lock();
        let is_all = messages.len() < wanted.limit;
        let mut next = wanted.from;
        for (stored, attempts) in messages {
            next = stored.seq + 1;
            if stored.seq > waiting.last {
                waiting.last = stored.seq;
            } else {
                waiting.in_file = waiting.in_file.saturating_sub(1);
            }
            waiting.insert(stored, attempts, self.ordered);
        }
        // Nothing came meanwhile that could have been missed.
        if is_all && waiting.last == wanted.last {
            waiting.in_file = 0;
        }
        waiting.tail = (waiting.in_file > 0).then_some(next);
        drop(waiting);
        self.notify.notify_waiters();
    }

    /// Leases at most `max` messages; `None` once the queue is closed.
    pub(super) fn take(
        &self,
        max: usize,
        lease: Duration,
        retention: Option<Duration>,
        now: Instant,
        mut next_delivery: impl FnMut() -> u64,
    ) -> Option<Take> {
        let mut waiting = self.lock();
        if waiting.closed {
            return None;
        }
        let mut take = Take {
            taken: Vec::new(),
            expired: Vec::new(),
            next_due: None,
        };
        waiting.wake_due(now);
        while take.taken.len() < max {
            let Some(seq) = waiting.ready.pop_first() else {
                break;
            };
            let Some(entry) = waiting.entries.get_mut(&seq) else {
                continue;
            };
            let age = entry.stored.age(now);
            if retention.is_some_and(|retention| age > retention) {
                take.expired
                    .extend(waiting.remove(seq).map(|entry| entry.stored));
                continue;
            }
            let until = after(now, lease);
            entry.attempts = entry.attempts.saturating_add(1);
            entry.delivery = next_delivery();
            entry.state = State::Leased(until);
            take.taken.push(Taken {
                stored: Arc::clone(&entry.stored),
                attempt: entry.attempts,
                delivery: entry.delivery,
            });
            waiting.timers.insert((until, seq));
        }
        take.next_due = waiting.timers.first().map(|(due, _)| *due);
        Some(take)
    }

    /// Undoes deliveries that nobody saw.
    pub(super) fn put_back(&self, taken: &[Taken]) {
        let mut waiting = self.lock();
        for Taken {
            stored, delivery, ..
        } in taken
        {
            if let Some(entry) = waiting.delivered(stored.seq, *delivery) {
                entry.attempts = entry.attempts.saturating_sub(1);
                waiting.make_ready(stored.seq);
            }
        }
        drop(waiting);
        self.notify.notify_waiters();
    }

    /// Removes a message for good and returns it with its attempts; `None` for a delivery that is not the last one.
    pub(super) fn settle(&self, seq: u64, delivery: u64) -> Option<(Arc<Stored>, u32)> {
        let mut waiting = self.lock();
        waiting.delivered(seq, delivery)?;
        let entry = waiting.remove(seq)?;
        let wants_more = waiting.tail.is_some() && waiting.has_room();
        drop(waiting);
        if self.ordered || wants_more {
            self.notify.notify_waiters();
        }
        Some((entry.stored, entry.attempts))
    }

    /// Makes a message deliverable from `due` on; nothing for a delivery that is not the last one.
    pub(super) fn delay(&self, seq: u64, delivery: u64, due: Instant) {
        self.reschedule(seq, delivery, State::Delayed(due), due);
    }

    /// Makes a lease end at `until`; nothing for a delivery that is not the last one.
    pub(super) fn extend(&self, seq: u64, delivery: u64, until: Instant) {
        self.reschedule(seq, delivery, State::Leased(until), until);
    }

    fn reschedule(&self, seq: u64, delivery: u64, state: State, due: Instant) {
        let mut waiting = self.lock();
        if waiting.delivered(seq, delivery).is_none() {
            return;
        }
        waiting.unschedule(seq);
        if let Some(entry) = waiting.entries.get_mut(&seq) {
            entry.state = state;
        }
        waiting.timers.insert((due, seq));
        drop(waiting);
        self.notify.notify_waiters();
    }

    /// Keeps a dead letter in memory, where there is no file, and drops those that failed before `keep_since`.
    pub(super) fn bury(&self, letter: DeadLetter, keep_since: Option<SystemTime>) {
        let dead = &mut self.lock().dead;
        if let Some(since) = keep_since {
            dead.retain(|letter| letter.failed_at >= since);
        }
        dead.push_back(letter);
    }

    /// The oldest dead letters that failed since then, where there is no file.
    pub(super) fn dead(&self, limit: usize, since: SystemTime) -> Vec<DeadLetter> {
        let waiting = self.lock();
        let kept = waiting
            .dead
            .iter()
            .filter(|letter| letter.failed_at >= since);
        kept.take(limit).cloned().collect()
    }

    /// Takes a dead letter out, where there is no file.
    pub(super) fn exhume(&self, id: &str) -> Option<DeadLetter> {
        let dead = &mut self.lock().dead;
        let index = dead.iter().position(|letter| letter.id == id)?;
        dead.remove(index)
    }

    pub(super) fn depth(&self, now: Instant) -> Depth {
        let waiting = self.lock();
        let is_leased = |entry: &&Entry| matches!(entry.state, State::Leased(until) if until > now);
        let leased = waiting.entries.values().filter(is_leased).count() as u64;
        Depth {
            waiting: waiting.in_file + waiting.entries.len() as u64 - leased,
            leased,
        }
    }

    /// Makes every receive fail from now on.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.notify.notify_waiters();
    }
}

impl Waiting {
    fn has_room(&self) -> bool {
        self.entries.len() <= WINDOW / 2
    }

    fn insert(&mut self, stored: Arc<Stored>, attempts: u32, ordered: bool) {
        let seq = stored.seq;
        let mut is_blocked = false;
        if let Some(key) = stored.ordering_key.as_ref().filter(|_| ordered) {
            let line = self.keys.entry(Arc::clone(key)).or_default();
            is_blocked = !line.is_empty();
            line.push_back(seq);
        }
        let entry = Entry {
            stored,
            attempts,
            delivery: 0,
            state: State::Blocked,
        };
        self.entries.insert(seq, entry);
        if !is_blocked {
            self.unblock(seq);
        }
    }

    /// The entry, if `delivery` is its last one.
    fn delivered(&mut self, seq: u64, delivery: u64) -> Option<&mut Entry> {
        self.entries
            .get_mut(&seq)
            .filter(|entry| entry.delivery == delivery)
    }

    /// Makes ready whatever is due.
    fn wake_due(&mut self, now: Instant) {
        while let Some(&(due, seq)) = self.timers.first() {
            if due > now {
                break;
            }
            self.make_ready(seq);
        }
    }

    /// Lets a blocked message go: at once, or when its time has come.
    fn unblock(&mut self, seq: u64) {
        match self.entries.get_mut(&seq) {
            Some(entry) if let Some(due) = entry.stored.not_before => {
                entry.state = State::Delayed(due);
                self.timers.insert((due, seq));
            }
            _ => self.make_ready(seq),
        }
    }

    fn make_ready(&mut self, seq: u64) {
        self.unschedule(seq);
        if let Some(entry) = self.entries.get_mut(&seq) {
            entry.state = State::Ready;
            self.ready.insert(seq);
        }
    }

    /// Takes an entry out of `ready` and `timers`.
    fn unschedule(&mut self, seq: u64) {
        self.ready.remove(&seq);
        if let Some(State::Leased(due) | State::Delayed(due)) =
            self.entries.get(&seq).map(|entry| entry.state)
        {
            self.timers.remove(&(due, seq));
        }
    }

    /// Removes an entry and lets the next one of its key go.
    fn remove(&mut self, seq: u64) -> Option<Entry> {
        self.unschedule(seq);
        let entry = self.entries.remove(&seq)?;
        if let Some(key) = &entry.stored.ordering_key
            && let Some(line) = self.keys.get_mut(key)
        {
            if line.front() == Some(&seq) {
                line.pop_front();
            } else {
                line.retain(|other| *other != seq);
            }
            match line.front().copied() {
                None => drop(self.keys.remove(key)),
                Some(next)
                    if self
                        .entries
                        .get(&next)
                        .is_some_and(|entry| entry.state == State::Blocked) =>
                {
                    self.unblock(next);
                }
                Some(_) => {}
            }
        }
        Some(entry)
    }
}

/// `now + duration`, or a time too far away to matter.
pub(super) fn after(now: Instant, duration: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
    now + duration.min(FAR)
}
