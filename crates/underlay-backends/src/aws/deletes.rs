//! Acknowledgements: those that come while others are on their way go together, at most ten in a call.
//!
//! Nobody waits for company: the first goes at once.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::{
    aws::{
        error::Failure,
        queue::{BATCH, Queue},
    },
    tasks::Tasks,
};

/// How many calls are on their way at once.
const PARALLEL: usize = 4;

/// The acknowledgements of one queue.
pub(super) struct Deletes {
    pub(super) queue: Queue,
    pub(super) tasks: Arc<Tasks>,
    pub(super) state: Mutex<State>,
}

/// What waits to be sent, and how many calls run.
#[derive(Default)]
pub(super) struct State {
    waiting: VecDeque<(String, oneshot::Sender<Result<(), Failure>>)>,
    running: usize,
}

impl Deletes {
    /// Returns when SQS has removed the message; `None` when the broker was closed before.
    pub(super) async fn delete(self: &Arc<Self>, receipt: &str) -> Option<Result<(), Failure>> {
        if self.tasks.is_closed() {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        let is_short = {
            let mut state = self.state();
            state.waiting.push_back((receipt.to_owned(), sender));
            let is_short = state.running < PARALLEL;
            state.running += usize::from(is_short);
            is_short
        };
        if is_short {
            self.tasks.spawn(Arc::clone(self).send());
        }
        receiver.await.ok()
    }

    async fn send(self: Arc<Self>) {
        loop {
            let batch: Vec<_> = {
                let mut state = self.state();
                let count = state.waiting.len().min(BATCH);
                if count == 0 {
                    state.running -= 1;
                    return;
                }
                state.waiting.drain(..count).collect()
            };
            let receipts: Vec<&str> = batch.iter().map(|(receipt, _)| &**receipt).collect();
            let outcomes = self.queue.delete(&receipts).await;
            for ((_, sender), outcome) in batch.into_iter().zip(outcomes) {
                // One that does not wait any more has its message removed all the same.
                let _ = sender.send(outcome);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
