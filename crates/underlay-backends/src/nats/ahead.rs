//! Reads ahead of a receiver that is quick, so that it need not wait a round trip for each handful of messages.
//!
//! No more is read ahead than was handed out in the last tenth of a second, and what is not wanted within a second goes
//! back to the server. So one that is slow takes nothing from the others.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_nats::Message;
use tokio::time::sleep;

use crate::{
    Result,
    nats::pull::{Puller, Waiter},
};

/// The time whose messages are read ahead.
const PERIOD: Duration = Duration::from_millis(100);
/// How many messages are read ahead at most.
const MOST: usize = 500;
/// After how long without a receiver what was read ahead goes back.
const STALE: Duration = Duration::from_secs(1);

/// The messages of one subscription that were read ahead.
pub(super) struct Ahead {
    puller: Arc<Puller>,
    state: Mutex<State>,
}

struct State {
    /// With the time at which they were asked for.
    messages: VecDeque<(Instant, Message)>,
    /// What is on its way.
    arriving: Option<(Instant, Waiter)>,
    /// When the current period began, and how many messages were handed out in it and in the one before.
    period: Instant,
    count: usize,
    count_before: usize,
    /// Counts the receives.
    receives: u64,
    is_watched: bool,
}

/// Messages that were not handed out yet. Dropped before that, it gives them back.
pub(super) struct Batch {
    puller: Arc<Puller>,
    pub(super) messages: Vec<Message>,
    /// Their leases began then, or later.
    pub(super) since: Instant,
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.puller.give_back(std::mem::take(&mut self.messages));
    }
}

impl Ahead {
    pub(super) fn new(puller: Arc<Puller>) -> Self {
        let state = State {
            messages: VecDeque::new(),
            arriving: None,
            period: Instant::now(),
            count: 0,
            count_before: 0,
            receives: 0,
            is_watched: false,
        };
        Self {
            puller,
            state: Mutex::new(state),
        }
    }

    /// Waits for at least one message, and returns at most `max`.
    pub(super) async fn receive(self: &Arc<Self>, max: usize) -> Result<Batch> {
        let arriving = {
            let mut state = self.state();
            state.receives += 1;
            if state.messages.is_empty() {
                state.arriving.take()
            } else {
                let count = max.min(state.messages.len());
                let taken: Vec<_> = state.messages.drain(..count).collect();
                drop(state);
                let since = taken.first().map_or_else(Instant::now, |(since, _)| *since);
                let messages = taken.into_iter().map(|(_, message)| message).collect();
                return Ok(self.batch(messages, since));
            }
        };
        let mut since = Instant::now();
        let mut messages = Vec::new();
        if let Some((asked, waiter)) = arriving {
            messages = self.puller.result(waiter).await?;
            since = asked;
        }
        if messages.is_empty() {
            since = Instant::now();
            messages = self.puller.available(max).await?;
        }
        if messages.is_empty() {
            messages = self.puller.one().await?;
            since = Instant::now();
        }
        if messages.len() > max {
            let rest = messages.split_off(max);
            let rest = rest.into_iter().map(|message| (since, message));
            self.state().messages.extend(rest);
        }
        Ok(self.batch(messages, since))
    }

    /// Hands messages out, and reads ahead if that was quick.
    fn batch(self: &Arc<Self>, messages: Vec<Message>, since: Instant) -> Batch {
        let mut state = self.state();
        let wanted = state.counted(messages.len(), Instant::now()).min(MOST);
        if state.arriving.is_none() && state.messages.len() < wanted.div_ceil(2) {
            let waiter = self.puller.ask(wanted);
            state.arriving = Some((Instant::now(), waiter));
        }
        let has_some = state.arriving.is_some() || !state.messages.is_empty();
        if has_some && !std::mem::replace(&mut state.is_watched, true) {
            self.puller.tasks.spawn(Arc::clone(self).watch());
        }
        drop(state);
        Batch {
            puller: Arc::clone(&self.puller),
            messages,
            since,
        }
    }

    /// Gives back what nobody wants.
    async fn watch(self: Arc<Self>) {
        let mut receives = self.state().receives;
        loop {
            tokio::select! {
                () = sleep(STALE) => {}
                () = self.puller.tasks.closed() => {}
            }
            let mut state = self.state();
            if state.receives == receives || self.puller.tasks.is_closed() {
                state.is_watched = false;
                // Dropped, it gives back what came.
                let arriving = state.arriving.take();
                let messages = std::mem::take(&mut state.messages);
                drop(state);
                drop(arriving);
                let messages = messages.into_iter().map(|(_, message)| message);
                self.puller.give_back(messages.collect());
                return;
            }
            receives = state.receives;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts messages that are handed out; returns how many were in the last period.
    fn counted(&mut self, count: usize, now: Instant) -> usize {
        let elapsed = now.saturating_duration_since(self.period);
        if elapsed >= PERIOD {
            self.count_before = if elapsed < PERIOD * 2 { self.count } else { 0 };
            self.count = 0;
            self.period = now;
        }
        self.count += count;
        self.count_before
    }
}
