//! The tasks of a broker: each ends with it.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, sync::watch, task::JoinSet, time::timeout};

/// What runs beside the calls: requests that outlive a cancelled call, and messages on their way back.
pub(crate) struct Tasks {
    runtime: Handle,
    running: Mutex<JoinSet<()>>,
    closed: watch::Sender<bool>,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Self {
            runtime: Handle::current(),
            running: Mutex::default(),
            closed: watch::Sender::new(false),
        }
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        while running.try_join_next().is_some() {}
        running.spawn_on(task, &self.runtime);
    }

    /// Returns when the broker is closed.
    pub(crate) async fn closed(&self) {
        // The sender lives as long as `self`, so an error cannot come.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    pub(crate) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Lets the tasks end, at most for `limit`.
    pub(crate) async fn close(&self, limit: Duration) {
        self.closed.send_replace(true);
        let mut running = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *running)
        };
        // What has not ended by then is ended when `running` is dropped.
        let _ = timeout(limit, async {
            while running.join_next().await.is_some() {}
        })
        .await;
    }
}
