//! Requests for messages, which go on when their caller gives up, so that what SQS hands out in the meantime is not
//! hidden for a whole lease.
//!
//! What nobody waits for any more is kept for a moment for the next receiver, then given back. Knows no acknowledgement.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use futures_util::future::join_all;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

use crate::{
    ErrorKind, Result,
    aws::{
        error::Failure,
        queue::{Delivery, Queue},
    },
    tasks::Tasks,
};

/// For how long a request waits for a message, the most that SQS allows.
const WAIT: Duration = Duration::from_secs(20);
/// How many requests run at once for one receiver that wants many.
const PARALLEL: usize = 10;
/// For how long messages are kept for the next receiver.
const GRACE: Duration = Duration::from_secs(1);

/// A delivery that is hidden from others for a time.
#[derive(Debug)]
pub(super) struct Leased {
    pub(super) delivery: Delivery,
    /// What was asked of SQS; `None` when it waited for a receiver since.
    pub(super) lease: Option<Duration>,
    /// When it ends.
    pub(super) until: Instant,
}

/// The requests of one queue.
pub(super) struct Puller {
    pub(super) queue: Queue,
    /// How many messages one call may bring: of a FIFO queue a call brings several of one group, so where the next one of a
    /// group must wait for the one before it, a call brings one.
    pub(super) batch: usize,
    pub(super) tasks: Arc<Tasks>,
    pub(super) state: Mutex<State>,
}

/// Who waits, how many requests run for them, and what came for nobody.
#[derive(Default)]
pub(super) struct State {
    waiters: VecDeque<Waiter>,
    pulls: usize,
    spare: VecDeque<(Instant, Leased)>,
}

struct Waiter {
    sender: oneshot::Sender<Result<Vec<Leased>>>,
    max: usize,
    lease: Duration,
}

/// One that waits. Dropped before it has read its messages, it leaves them to others.
struct Waiting {
    puller: Arc<Puller>,
    receiver: oneshot::Receiver<Result<Vec<Leased>>>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.receiver.close();
        if let Ok(Ok(leased)) = self.receiver.try_recv() {
            self.puller.hand_over(Ok(leased));
        }
    }
}

impl Puller {
    /// Waits for at least one and at most `max` messages.
    pub(super) async fn pull(self: &Arc<Self>, max: usize, lease: Duration) -> Result<Vec<Leased>> {
        let closed = || {
            let text = "receive messages: the broker is closed";
            self.queue.error(ErrorKind::Unavailable, text)
        };
        if self.tasks.is_closed() {
            return Err(closed());
        }
        let (sender, receiver) = oneshot::channel();
        let is_short = {
            let mut state = self.state();
            let spare = state.take_spare(max);
            if !spare.is_empty() {
                return Ok(spare);
            }
            state.waiters.retain(|it| !it.sender.is_closed());
            state.waiters.push_back(Waiter { sender, max, lease });
            let is_short = state.pulls < state.waiters.len();
            state.pulls += usize::from(is_short);
            is_short
        };
        if is_short {
            self.tasks
                .spawn(Arc::clone(self).pull_for_waiters(max, lease));
        }
        let mut waiting = Waiting {
            puller: Arc::clone(self),
            receiver,
        };
        tokio::select! {
            result = &mut waiting.receiver => result.unwrap_or_else(|_| Err(closed())),
            () = self.tasks.closed() => Err(closed()),
        }
    }

    /// Asks SQS as long as there are waiters without a request.
    async fn pull_for_waiters(self: Arc<Self>, mut max: usize, mut lease: Duration) {
        loop {
            let result = tokio::select! {
                result = self.request(max, lease) => result,
                () = self.tasks.closed() => return,
            };
            match result {
                Ok(leased) if leased.is_empty() => {}
                result => self.hand_over(result),
            }
            let mut state = self.state();
            state.waiters.retain(|it| !it.sender.is_closed());
            match state.waiters.front() {
                Some(waiter) if state.pulls <= state.waiters.len() => {
                    (max, lease) = (waiter.max, waiter.lease);
                }
                _ => {
                    state.pulls -= 1;
                    return;
                }
            }
        }
    }

    /// One request that waits, and, when it brings as many as one can, more that do not.
    async fn request(&self, max: usize, lease: Duration) -> Result<Vec<Leased>> {
        let failed = |failure: Failure| self.queue.failed(failure, "receive messages");
        let mut leased = self.receive(max, WAIT, lease).await.map_err(failed)?;
        let batch = self.batch;
        if leased.len() >= batch && max > batch {
            let rest = (max - batch).min(batch * (PARALLEL - 1));
            let more = (0..rest).step_by(batch);
            let more = more.map(|done| self.receive(rest - done, Duration::ZERO, lease));
            // What fails here is told by the next request, which is made at once.
            leased.extend(join_all(more).await.into_iter().flatten().flatten());
        }
        Ok(leased)
    }

    /// One call. What is not to be delivered yet is hidden until its time.
    async fn receive(
        &self,
        max: usize,
        wait: Duration,
        lease: Duration,
    ) -> Result<Vec<Leased>, Failure> {
        let max = max.min(self.batch);
        let deliveries = self.queue.receive(max, wait, lease).await?;
        let until = Instant::now() + lease;
        let now = SystemTime::now();
        let (early, due): (Vec<Delivery>, Vec<Delivery>) = deliveries
            .into_iter()
            .partition(|it| it.incoming.hold(now).is_some());
        let holds: Vec<(&str, Duration)> = early
            .iter()
            .filter_map(|it| Some((&*it.receipt, it.incoming.hold(now)?)))
            .collect();
        // One that could not be hidden comes again when its lease ends, and is hidden then.
        self.queue.hide_all(&holds).await;
        let leased = |delivery| Leased {
            delivery,
            lease: Some(lease),
            until,
        };
        Ok(due.into_iter().map(leased).collect())
    }

    /// Gives a result to those that wait; messages that are left are kept for a moment.
    pub(super) fn hand_over(self: &Arc<Self>, mut result: Result<Vec<Leased>>) {
        loop {
            let waiter = self.state().waiters.pop_front();
            let (sent, left) = match (waiter, result) {
                (Some(waiter), Ok(mut leased)) => {
                    let left = leased.split_off(leased.len().min(waiter.max));
                    (waiter.sender.send(Ok(leased)), left)
                }
                (Some(waiter), Err(error)) => (waiter.sender.send(Err(error)), Vec::new()),
                (None, Ok(leased)) => return self.keep(leased),
                (None, Err(_)) => return,
            };
            result = match sent {
                Ok(()) if left.is_empty() => return,
                Ok(()) => Ok(left),
                // It gave up in the meantime.
                Err(Ok(mut leased)) => {
                    leased.extend(left);
                    Ok(leased)
                }
                Err(error) => error,
            };
        }
    }

    /// Keeps messages for the next receiver, and gives back what is left then.
    fn keep(self: &Arc<Self>, leased: Vec<Leased>) {
        if leased.is_empty() {
            return;
        }
        let now = Instant::now();
        let spare = leased.into_iter().map(|leased| {
            (
                now,
                Leased {
                    lease: None,
                    ..leased
                },
            )
        });
        self.state().spare.extend(spare);
        let puller = Arc::clone(self);
        self.tasks.spawn(async move {
            tokio::select! {
                () = sleep(GRACE) => {}
                () = puller.tasks.closed() => {}
            }
            let old = puller.state().take_older(now);
            let back: Vec<(&str, Duration)> = old
                .iter()
                .map(|it| (&*it.delivery.receipt, Duration::ZERO))
                .collect();
            // What SQS does not hear comes again when its lease ends.
            puller.queue.hide_all(&back).await;
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What came for nobody, as far as its lease lasts.
    fn take_spare(&mut self, max: usize) -> Vec<Leased> {
        let soon = Instant::now() + GRACE;
        self.spare.retain(|(_, leased)| leased.until > soon);
        let count = self.spare.len().min(max);
        self.spare
            .drain(..count)
            .map(|(_, leased)| leased)
            .collect()
    }

    /// What was kept until a time.
    fn take_older(&mut self, limit: Instant) -> Vec<Leased> {
        let count = self.spare.partition_point(|(since, _)| *since <= limit);
        self.spare
            .drain(..count)
            .map(|(_, leased)| leased)
            .collect()
    }
}

/// Messages that were received and not handed out yet. Dropped before that, it leaves them to others.
pub(super) struct Held<'a> {
    pub(super) puller: &'a Arc<Puller>,
    pub(super) leased: Vec<Leased>,
}

impl Held<'_> {
    /// Makes each lease end `lease` from now where that is not so yet; those that have ended go.
    pub(super) async fn set_lease(&mut self, lease: Duration) {
        let other = |it: &Leased| it.lease != Some(lease);
        let stale: Vec<(&str, Duration)> = self
            .leased
            .iter()
            .filter(|it| other(it))
            .map(|it| (&*it.delivery.receipt, lease))
            .collect();
        if stale.is_empty() {
            return;
        }
        let mut done = self.puller.queue.hide_all(&stale).await.into_iter();
        let until = Instant::now() + lease;
        self.leased.retain_mut(|leased| {
            if !other(leased) {
                return true;
            }
            (leased.lease, leased.until) = (Some(lease), until);
            // What SQS refuses comes again by itself.
            done.next().unwrap_or(false)
        });
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let leased = std::mem::take(&mut self.leased);
        if !leased.is_empty() {
            self.puller.hand_over(Ok(leased));
        }
    }
}
