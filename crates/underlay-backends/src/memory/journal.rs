//! The broker's file: undelivered messages and dead letters in redb, written by one thread that commits in groups.
//!
//! Knows nothing of leases and timers, which do not outlive the process.

use std::{collections::HashMap, path::Path, sync::Arc, time::SystemTime};

use crate::{
    Error, ErrorKind, Result,
    memory::{
        PROVIDER,
        broker::{Incoming, Removed, TopicState},
        queue::Stored,
    },
    topic::{DeadLetter, Message},
};

/// How many bytes of messages stay in memory so that they need not be read back.
pub(super) const KEPT_IN_MEMORY: usize = 16 << 20;

/// A subscription's number and what waits for it, with the deliveries so far.
type Backlog = (u32, Vec<(Arc<Stored>, u32)>);

/// What the file held when it was opened.
#[derive(Default)]
pub(super) struct Restored {
    backlogs: HashMap<(String, String), Backlog>,
}

impl Restored {
    pub(super) fn take(&mut self, topic: &str, subscription: &str) -> Option<Backlog> {
        self.backlogs
            .remove(&(topic.to_owned(), subscription.to_owned()))
    }
}

/// The end of a message for one subscription.
pub(super) struct Settlement {
    pub(super) subscription: u32,
    pub(super) seq: u64,
    /// No other subscription needs the message.
    pub(super) last: bool,
    /// Attempts, reason and time, for a dead letter.
    pub(super) dead: Option<(u32, String, SystemTime)>,
}

/// The right to hand something to the writer.
pub(super) struct Place;

pub(super) struct Journal;

impl Journal {
    pub(super) async fn open(
        path: &Path,
        _declared: &[(&str, &str)],
        _kept_in_memory: usize,
    ) -> Result<(Self, Restored, Vec<Removed>)> {
        let text = "a broker with a file is not built yet; use one in memory";
        Err(Error::new(
            ErrorKind::Unsupported,
            PROVIDER,
            path.display().to_string(),
            text,
        ))
    }
    pub(super) async fn reserve(&self, _bytes: usize) -> Result<Place> {
        unreachable!()
    }
    pub(super) async fn publish(
        &self,
        _topic: &Arc<TopicState>,
        _messages: Vec<Incoming>,
    ) -> Result<()> {
        unreachable!()
    }
    pub(super) fn settle(
        &self,
        _place: Place,
        _settlement: Settlement,
    ) -> Result<std::future::Ready<Result<()>>> {
        unreachable!()
    }
    pub(super) async fn note_attempts(
        &self,
        _subscription: u32,
        _attempts: Vec<(u64, u32)>,
    ) -> Result<()> {
        unreachable!()
    }
    pub(super) async fn read(&self, _seqs: Vec<u64>) -> Result<HashMap<u64, Message>> {
        unreachable!()
    }
    pub(super) async fn dead_letters(
        &self,
        _subscription: u32,
        _limit: usize,
    ) -> Result<Vec<DeadLetter>> {
        unreachable!()
    }
    pub(super) async fn close(&self) -> Result<()> {
        unreachable!()
    }
}
