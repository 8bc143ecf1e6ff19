//! The messages of one subscription that are in this process: waiting, behind another of their key, or with a receiver.
//!
//! Google leases a message to a process for as long as the process says that it lives; leases of receivers and the
//! time until a message comes again are kept here, by timers of our own. Knows no connection: what tells Google is a
//! [`Handle`].

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::{
    Error, ErrorKind, Result,
    gcp::PROVIDER,
    topic::{Message, Receipt, Received},
};

/// How many messages that were given back are remembered with their attempts, where Google does not count.
const REMEMBERED: usize = 10_000;
/// Longer than anybody waits.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// What tells Google how a delivery ended. Dropped, it gives the message back.
pub(super) trait Handle: Send + 'static {
    /// Ends it for good; returns when Google knows it, where Google says so.
    fn ack(self, resource: &str) -> impl Future<Output = Result<()>> + Send;

    /// Lets Google deliver it again.
    fn give_back(self);
}

/// A message that came, with what ends its delivery.
pub(super) struct Delivery<H> {
    pub(super) id: String,
    /// Its ordering key, where the topic is ordered.
    pub(super) key: Option<String>,
    /// Which delivery it is; `None` if Google does not count.
    pub(super) attempt: Option<u32>,
    pub(super) published_at: SystemTime,
    pub(super) message: Message,
    /// One, and one more for each time that Google delivered it again meanwhile.
    pub(super) handles: Vec<H>,
}

/// Why nothing comes.
#[derive(Clone)]
pub(super) struct Failure {
    pub(super) kind: ErrorKind,
    pub(super) text: String,
}

/// The messages of one subscription that are in this process.
pub(super) struct Queue<H> {
    /// The subscription, for errors.
    pub(super) resource: String,
    /// What a receipt begins with: only this queue's deliveries are ended here.
    session: String,
    state: Mutex<State<H>>,
    arrived: Notify,
    rescheduled: Notify,
}

struct State<H> {
    ready: VecDeque<Delivery<H>>,
    /// Messages behind another of their key; a key is here as long as one of its messages is anywhere.
    behind: HashMap<String, VecDeque<Delivery<H>>>,
    /// Deliveries that receivers have, and those that wait to come again, by number.
    held: HashMap<u64, Held<H>>,
    due: BTreeSet<(Instant, u64)>,
    /// The ids of all of them.
    ids: HashSet<String>,
    given_back: HashMap<String, u32>,
    next: u64,
    /// How many wait for messages.
    receivers: usize,
    failure: Option<Failure>,
    closed: bool,
}

struct Held<H> {
    delivery: Delivery<H>,
    until: Instant,
    /// False for one that waits to come again.
    leased: bool,
}

/// A delivery that ends. Until this is dropped, the next message of its key waits.
pub(super) struct Ending<'a, H: Handle> {
    queue: &'a Queue<H>,
    key: Option<String>,
    handles: Vec<H>,
}

impl<H: Handle> Ending<'_, H> {
    /// Acknowledges it.
    pub(super) async fn ack(mut self) -> Result<()> {
        let mut acknowledged = Ok(());
        for handle in std::mem::take(&mut self.handles) {
            // The newest delivery counts: an older one's lease has ended, or Google would not have delivered again.
            acknowledged = handle.ack(&self.queue.resource).await;
        }
        if acknowledged.is_err()
            && let Some(key) = &self.key
        {
            // It comes again, and after it all later ones of its key.
            self.queue.give_back_behind(key);
        }
        acknowledged
    }
}

impl<H: Handle> Drop for Ending<'_, H> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.queue.unblock(&key);
        }
    }
}

/// One that waits for messages.
struct Receiver<'a, H: Handle>(&'a Queue<H>);

impl<'a, H: Handle> Receiver<'a, H> {
    fn new(queue: &'a Queue<H>) -> Self {
        queue.state().receivers += 1;
        Self(queue)
    }
}

impl<H: Handle> Drop for Receiver<'_, H> {
    fn drop(&mut self) {
        self.0.state().receivers -= 1;
    }
}

impl<H: Handle> Queue<H> {
    pub(super) fn new(resource: &str) -> Self {
        Self {
            resource: resource.to_owned(),
            session: format!("{:016x}", rand::random::<u64>()),
            state: Mutex::new(State {
                ready: VecDeque::new(),
                behind: HashMap::new(),
                held: HashMap::new(),
                due: BTreeSet::new(),
                ids: HashSet::new(),
                given_back: HashMap::new(),
                next: 0,
                receivers: 0,
                failure: None,
                closed: false,
            }),
            arrived: Notify::new(),
            rescheduled: Notify::new(),
        }
    }

    /// Takes a message from Google.
    pub(super) fn arrive(&self, mut delivery: Delivery<H>) {
        {
            let mut state = self.state();
            if !state.closed {
                if state.ids.contains(&delivery.id) {
                    // Google lost sight of the first lease. There is one message, and what ends it ends both.
                    state.join(delivery);
                    return;
                }
                state.ids.insert(delivery.id.clone());
                let before = state.given_back.remove(&delivery.id).unwrap_or_default();
                delivery.attempt = delivery.attempt.or(Some(before + 1));
                state.enqueue(delivery);
                drop(state);
                self.arrived.notify_one();
                return;
            }
        }
        give_back(delivery.handles);
    }

    /// Whether somebody waits for messages, or has `asked` for some not long ago, and they would be taken.
    pub(super) fn is_attended(&self, asked: bool) -> bool {
        let state = self.state();
        !state.closed && (asked || state.receivers > 0)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// How many wait for a receiver.
    pub(super) fn waiting(&self) -> usize {
        let state = self.state();
        state.ready.len() + state.behind.values().map(VecDeque::len).sum::<usize>()
    }

    /// Waits for messages and leases them. Cancelled, it has taken none.
    pub(super) async fn receive(&self, max: usize, lease: Duration) -> Result<Vec<Received>> {
        let _receiver = Receiver::new(self);
        loop {
            // Registered before looking, so that a message that comes in between is not slept through.
            let arrived = self.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            {
                let mut state = self.state();
                if state.closed {
                    let text = "receive messages: the broker is closed";
                    return Err(self.error(ErrorKind::Unavailable, text));
                }
                let received = state.take(max, after(lease), &self.session);
                if !received.is_empty() {
                    let more = !state.ready.is_empty();
                    drop(state);
                    self.rescheduled.notify_one();
                    if more {
                        self.arrived.notify_one();
                    }
                    return Ok(received);
                }
                if let Some(failure) = &state.failure {
                    let text = format!("receive messages: {}", failure.text);
                    return Err(self.error(failure.kind, text));
                }
            }
            arrived.await;
        }
    }

    /// The message of a delivery that a receiver has, and which delivery it is; `None` if its lease has ended.
    /// Its lease is made to last for `time` at least.
    pub(super) fn look(
        &self,
        receipt: &Receipt,
        time: Duration,
    ) -> Result<Option<(String, u32, Message)>> {
        let number = self.number(receipt)?;
        let mut state = self.state();
        let until = after(time);
        let Some(held) = state.held.get(&number).filter(|held| held.leased) else {
            return Ok(None);
        };
        let delivery = &held.delivery;
        let attempt = delivery.attempt.unwrap_or(1);
        let found = (delivery.id.clone(), attempt, delivery.message.clone());
        if held.until < until {
            state.schedule(number, until);
        }
        Ok(Some(found))
    }

    /// Ends a delivery that a receiver has; `None` if its lease has ended.
    pub(super) fn end(&self, receipt: &Receipt) -> Result<Option<Ending<'_, H>>> {
        let number = self.number(receipt)?;
        let mut state = self.state();
        if !state.held.get(&number).is_some_and(|held| held.leased) {
            return Ok(None);
        }
        Ok(state.remove(number).map(|delivery| {
            state.ids.remove(&delivery.id);
            Ending {
                queue: self,
                key: delivery.key,
                handles: delivery.handles,
            }
        }))
    }

    /// Makes a lease end after a time.
    pub(super) fn extend(&self, receipt: &Receipt, lease: Duration) -> Result<()> {
        self.reschedule(receipt, lease, true)
    }

    /// Lets a delivery come again after a time.
    pub(super) fn nack(&self, receipt: &Receipt, delay: Duration) -> Result<()> {
        self.reschedule(receipt, delay, false)
    }

    fn reschedule(&self, receipt: &Receipt, time: Duration, leased: bool) -> Result<()> {
        let number = self.number(receipt)?;
        {
            let mut state = self.state();
            let Some(held) = state.held.get_mut(&number).filter(|held| held.leased) else {
                return Ok(());
            };
            held.leased = leased;
            state.schedule(number, after(time));
        }
        if time.is_zero() {
            self.expire();
        } else {
            self.rescheduled.notify_one();
        }
        Ok(())
    }

    /// Lets all come again whose time has come: here, if they have a key, so that the next of the key stays behind
    /// them; else from Google, which may choose another process.
    fn expire(&self) {
        let (mut back, mut again) = (Vec::new(), 0);
        {
            let mut state = self.state();
            let now = Instant::now();
            while let Some((until, number)) = state.due.first().copied()
                && until <= now
            {
                let Some(mut delivery) = state.remove(number) else {
                    continue;
                };
                let attempt = delivery.attempt.unwrap_or(1);
                if delivery.key.is_some() {
                    delivery.attempt = Some(attempt.saturating_add(1));
                    state.ready.push_front(delivery);
                    again += 1;
                } else {
                    state.ids.remove(&delivery.id);
                    state.remember(delivery.id, attempt);
                    back.extend(delivery.handles);
                }
            }
        }
        for _ in 0..again {
            self.arrived.notify_one();
        }
        give_back(back);
    }

    /// Ends leases and delays when their time has come, for ever.
    pub(super) async fn keep_time(&self) {
        loop {
            let rescheduled = self.rescheduled.notified();
            let next = self.state().due.first().map(|(until, _)| *until);
            match next {
                Some(until) => tokio::select! {
                    () = sleep_until(until) => self.expire(),
                    () = rescheduled => {}
                },
                None => rescheduled.await,
            }
        }
    }

    /// Removes a message that nobody has received; it is given back.
    pub(super) fn withdraw(&self, id: &str) {
        let withdrawn = {
            let mut state = self.state();
            let place = state.ready.iter().position(|delivery| delivery.id == id);
            let withdrawn = place.and_then(|place| state.ready.remove(place));
            if withdrawn.is_some() {
                state.ids.remove(id);
            }
            withdrawn
        };
        give_back(withdrawn.into_iter().flat_map(|delivery| delivery.handles));
    }

    /// Says why nothing comes, to all that wait now and until it is taken back.
    pub(super) fn fail(&self, failure: Option<Failure>) {
        let is_failure = failure.is_some();
        self.state().failure = failure;
        if is_failure {
            self.arrived.notify_waiters();
        }
    }

    /// Ends all: receivers fail, and what is here is given back.
    pub(super) fn close(&self) {
        let back = {
            let mut state = self.state();
            state.closed = true;
            state.due.clear();
            state.ids.clear();
            let held = std::mem::take(&mut state.held);
            let behind = std::mem::take(&mut state.behind);
            let mut all: Vec<Delivery<H>> = std::mem::take(&mut state.ready).into();
            all.extend(held.into_values().map(|held| held.delivery));
            all.extend(behind.into_values().flatten());
            all
        };
        self.arrived.notify_waiters();
        give_back(back.into_iter().flat_map(|delivery| delivery.handles));
    }

    fn unblock(&self, key: &str) {
        {
            let mut state = self.state();
            let Some(behind) = state.behind.get_mut(key) else {
                return;
            };
            let Some(next) = behind.pop_front() else {
                state.behind.remove(key);
                return;
            };
            state.ready.push_back(next);
        }
        self.arrived.notify_one();
    }

    fn give_back_behind(&self, key: &str) {
        let back: Vec<Delivery<H>> = {
            let mut state = self.state();
            let back = state
                .behind
                .get_mut(key)
                .map(std::mem::take)
                .unwrap_or_default();
            for delivery in &back {
                state.ids.remove(&delivery.id);
            }
            back.into()
        };
        give_back(back.into_iter().flat_map(|delivery| delivery.handles));
    }

    fn number(&self, receipt: &Receipt) -> Result<u64> {
        let number = receipt.0.strip_prefix(&*self.session);
        let number = number.and_then(|rest| rest.strip_prefix('-')?.parse().ok());
        number.ok_or_else(|| {
            let text = "the receipt is not one of this subscription's";
            self.error(ErrorKind::InvalidArgument, text)
        })
    }

    pub(super) fn error(
        &self,
        kind: ErrorKind,
        text: impl Into<std::borrow::Cow<'static, str>>,
    ) -> Error {
        Error::new(kind, PROVIDER, &self.resource, text)
    }

    fn state(&self) -> MutexGuard<'_, State<H>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H> State<H> {
    fn enqueue(&mut self, delivery: Delivery<H>) {
        if let Some(key) = &delivery.key {
            if let Some(behind) = self.behind.get_mut(key) {
                behind.push_back(delivery);
                return;
            }
            self.behind.insert(key.clone(), VecDeque::new());
        }
        self.ready.push_back(delivery);
    }

    /// Adds the handles of a delivery to the message that is here.
    fn join(&mut self, delivery: Delivery<H>) {
        let behind = self.behind.values_mut().flatten();
        let held = self.held.values_mut().map(|held| &mut held.delivery);
        let here = self.ready.iter_mut().chain(behind).chain(held);
        for one in here {
            if one.id == delivery.id {
                one.handles.extend(delivery.handles);
                return;
            }
        }
    }

    fn take(&mut self, max: usize, until: Instant, session: &str) -> Vec<Received> {
        let count = max.min(self.ready.len());
        let taken: Vec<Delivery<H>> = self.ready.drain(..count).collect();
        let received = taken.into_iter().map(|delivery| {
            let number = self.next;
            self.next += 1;
            let received = Received {
                id: delivery.id.clone(),
                attempt: delivery.attempt.unwrap_or(1),
                published_at: delivery.published_at,
                message: delivery.message.clone(),
                receipt: Receipt(format!("{session}-{number}")),
            };
            self.due.insert((until, number));
            let held = Held {
                delivery,
                until,
                leased: true,
            };
            self.held.insert(number, held);
            received
        });
        received.collect()
    }

    fn schedule(&mut self, number: u64, until: Instant) {
        if let Some(held) = self.held.get_mut(&number) {
            self.due.remove(&(held.until, number));
            held.until = until;
            self.due.insert((until, number));
        }
    }

    fn remove(&mut self, number: u64) -> Option<Delivery<H>> {
        let held = self.held.remove(&number)?;
        self.due.remove(&(held.until, number));
        Some(held.delivery)
    }

    fn remember(&mut self, id: String, attempts: u32) {
        if self.given_back.len() >= REMEMBERED {
            let some = self.given_back.keys().next().cloned();
            some.map(|some| self.given_back.remove(&some));
        }
        self.given_back.insert(id, attempts);
    }
}

fn after(time: Duration) -> Instant {
    Instant::now() + time.min(FOREVER)
}

fn give_back<H: Handle>(handles: impl IntoIterator<Item = H>) {
    for handle in handles {
        handle.give_back();
    }
}

#[cfg(test)]
mod tests;
