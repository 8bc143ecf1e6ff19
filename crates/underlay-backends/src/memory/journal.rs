//! The broker's file: undelivered messages and dead letters in redb, written by one thread that commits in groups.
//!
//! Knows nothing of leases and timers, which do not outlive the process.

mod tables;
mod writer;

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::AtomicUsize,
        mpsc::{self, Sender},
    },
    thread::JoinHandle,
    time::{Duration, SystemTime},
};

use redb::{Database, DatabaseError};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::Instant,
};

use crate::{
    Error, ErrorKind, Result,
    memory::{
        PROVIDER,
        broker::{Incoming, Removed, TopicState, size_of_message},
        journal::{
            tables::{DbResult, Opened, Waiting},
            writer::{Change, Letter, Shared, Ticket, Writer},
        },
        queue::{Queue, Stored, after},
    },
    topic::{DeadLetter, Message},
};

/// How much of the file redb keeps in memory.
const CACHE: usize = 16 << 20;
/// What a place in the line to the writer counts.
const PLACE_BYTES: usize = 1 << 10;
/// How many places there are: 64 MiB wait for the writer at most.
const PLACES: usize = 1 << 16;

/// What the file held when it was opened: each subscription's number, and how many messages wait for it.
#[derive(Default)]
pub(super) struct Restored {
    waiting: BTreeMap<(String, String), Waiting>,
    /// The last place in the order that is taken.
    last: u64,
}

impl Restored {
    /// A subscription's number, how many messages wait for it, and the last place that is taken.
    pub(super) fn take(&mut self, topic: &str, subscription: &str) -> Option<(u32, u64, u64)> {
        let (number, count) = self
            .waiting
            .remove(&(topic.to_owned(), subscription.to_owned()))?;
        Some((number, count, self.last))
    }
}

/// The end of a message for one subscription.
pub(super) struct Settlement {
    /// Its topic: the message goes when none of its subscriptions needs it any more.
    pub(super) topic: Arc<TopicState>,
    pub(super) subscription: u32,
    pub(super) seq: u64,
    pub(super) dead: Option<Death>,
}

/// Why a message was given up.
pub(super) struct Death {
    pub(super) attempts: u32,
    pub(super) reason: String,
    pub(super) failed_at: SystemTime,
    /// Dead letters from before then may go.
    pub(super) keep_since: Option<SystemTime>,
}

/// How a dead letter ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LetterEnd {
    /// It waits for its subscription again.
    Release,
    Discard,
}

/// The right to hand a change to the writer.
pub(super) struct Place(OwnedSemaphorePermit);

pub(super) struct Journal {
    path: String,
    db: Shared,
    line: Option<Sender<Ticket>>,
    places: Arc<Semaphore>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Journal {
    pub(super) async fn open(
        path: &Path,
        declared: &[(&str, &str)],
        memory_budget: usize,
    ) -> Result<(Self, Restored, Vec<Removed>)> {
        let declared: Vec<(String, String)> = declared
            .iter()
            .map(|(topic, name)| ((*topic).to_owned(), (*name).to_owned()))
            .collect();
        let text = path.display().to_string();
        let path = path.to_path_buf();
        let opened = tokio::task::spawn_blocking(move || open(&path, &declared)).await;
        // redb asserts some of what it reads; a damaged file must not end the process.
        let (db, opened) = opened
            .unwrap_or_else(|error| Err(damaged(&text, "the store gave up reading it", error)))?;
        let (next_seq, waiting, removed) = match opened {
            Opened::Found {
                next_seq,
                waiting,
                removed,
            } => (next_seq, waiting, removed),
            Opened::OtherFormat(format) => {
                let reason = "another version of Underlay wrote it";
                return Err(damaged(&text, reason, format!("format {format}")));
            }
        };

        let db: Shared = Arc::new(RwLock::new(Some(db)));
        let (line, receiver) = mpsc::channel();
        let writer = Writer {
            db: Arc::clone(&db),
            path: text.clone(),
            line: receiver,
            next_seq,
            budget: Arc::new(AtomicUsize::new(memory_budget)),
        };
        let thread = std::thread::Builder::new()
            .name("underlay-broker".to_owned())
            .spawn(|| writer.run());
        let thread = thread.map_err(|error| {
            Error::new(
                ErrorKind::Other,
                PROVIDER,
                &text,
                "start the thread that writes the broker's file",
            )
            .with_source(error)
        })?;
        let places = Arc::new(Semaphore::new(PLACES));
        let journal = Self {
            path: text,
            db,
            line: Some(line),
            places,
            thread: Mutex::new(Some(thread)),
        };
        let restored = Restored {
            waiting,
            last: next_seq - 1,
        };
        Ok((journal, restored, removed))
    }

    fn closed(&self) -> Error {
        Error::new(
            ErrorKind::Unavailable,
            PROVIDER,
            &self.path,
            "use the broker: it is closed",
        )
    }

    /// Waits for a place in the line that counts as so many bytes.
    pub(super) async fn reserve(&self, bytes: usize) -> Result<Place> {
        let count = (1 + bytes / PLACE_BYTES).min(PLACES);
        let count = u32::try_from(count).map_err(|_| self.closed())?;
        let place = Arc::clone(&self.places).acquire_many_owned(count).await;
        place.map(Place).map_err(|_| self.closed())
    }

    fn send(&self, place: Place, change: Change) -> Result<()> {
        let ticket = Ticket {
            change,
            _place: place.0,
        };
        let line = self.line.as_ref().ok_or_else(|| self.closed())?;
        line.send(ticket).map_err(|_| self.closed())
    }

    async fn wait(&self, done: oneshot::Receiver<Result<()>>) -> Result<()> {
        done.await.unwrap_or_else(|_| Err(self.closed()))
    }

    /// Returns when the messages are in the file; they are then in the queues as well.
    pub(super) async fn publish(
        &self,
        topic: &Arc<TopicState>,
        messages: Vec<Incoming>,
    ) -> Result<()> {
        let bytes = messages
            .iter()
            .map(|incoming| size_of_message(&incoming.message))
            .sum();
        let place = self.reserve(bytes).await?;
        let (done, written) = oneshot::channel();
        self.send(
            place,
            Change::Publish {
                topic: Arc::clone(topic),
                messages,
                done,
            },
        )?;
        self.wait(written).await
    }

    /// Hands a settlement to the writer; what it returns waits until the settlement is in the file, which is at once
    /// if it is urgent.
    pub(super) fn settle(
        &self,
        place: Place,
        settlement: Settlement,
        urgent: bool,
    ) -> Result<impl Future<Output = Result<()>> + Send> {
        let (done, written) = oneshot::channel();
        self.send(
            place,
            Change::Settle {
                settlement,
                urgent,
                done,
            },
        )?;
        Ok(self.wait(written))
    }

    /// Ends a dead letter, and returns when that is in the file; false when there is none.
    pub(super) async fn take_letter(
        &self,
        queue: &Arc<Queue>,
        id: u128,
        end: LetterEnd,
    ) -> Result<bool> {
        let incoming = Incoming::now(id, Message::default());
        let place = self.reserve(0).await?;
        let (done, written) = oneshot::channel();
        let queue = Arc::clone(queue);
        let letter = Letter {
            queue,
            incoming,
            end,
        };
        self.send(place, Change::Letter { letter, done })?;
        written.await.unwrap_or_else(|_| Err(self.closed()))
    }

    pub(super) async fn note_attempts(
        &self,
        subscription: u32,
        attempts: Vec<(u64, u32)>,
    ) -> Result<()> {
        let place = self.reserve(0).await?;
        self.send(
            place,
            Change::Attempts {
                subscription,
                attempts,
            },
        )
    }

    /// The first `limit` messages from a place on that wait for a subscription, with the deliveries that each has had.
    pub(super) async fn backlog(
        &self,
        subscription: u32,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(Arc<Stored>, u32)>> {
        let rows = self
            .look(move |db| tables::backlog(db, subscription, from, limit))
            .await?;
        let (now, system_now) = (Instant::now(), SystemTime::now());
        let stored = rows.into_iter().map(|(head, attempts)| {
            let age = system_now.duration_since(head.published_at);
            let due = head.not_before.map(|due| {
                let left = due.duration_since(system_now).unwrap_or_default();
                after(now, left)
            });
            let stored = Stored {
                seq: head.seq,
                id: head.id,
                published_at: head.published_at,
                accepted: now,
                age_when_accepted: age.unwrap_or_default(),
                not_before: due,
                ordering_key: head.ordering_key.map(Arc::from),
                hot: None,
            };
            (Arc::new(stored), attempts)
        });
        Ok(stored.collect())
    }

    pub(super) async fn read(&self, seqs: Vec<u64>) -> Result<HashMap<u64, Message>> {
        self.look(move |db| tables::read(db, &seqs)).await
    }

    pub(super) async fn dead_letters(
        &self,
        subscription: u32,
        limit: usize,
        since: SystemTime,
    ) -> Result<Vec<DeadLetter>> {
        self.look(move |db| tables::dead_letters(db, subscription, limit, since))
            .await
    }

    /// Reads from the file.
    async fn look<R: Send + 'static>(
        &self,
        read: impl FnOnce(&Database) -> DbResult<R> + Send + 'static,
    ) -> Result<R> {
        let db = Arc::clone(&self.db);
        let read = move || {
            db.read()
                .unwrap_or_else(PoisonError::into_inner)
                .as_ref()
                .map(read)
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(Some(found)) => found.map_err(|error| failed(&self.path, "read", &error)),
            Ok(None) => Err(self.closed()),
            Err(error) => Err(damaged(&self.path, "the store gave up reading it", error)),
        }
    }

    /// Returns when everything is in the file and the file is closed.
    pub(super) async fn close(&self) -> Result<()> {
        let place = self.reserve(0).await?;
        let (done, written) = oneshot::channel();
        let closed = match self.send(place, Change::Close { done }) {
            Ok(()) => self.wait(written).await,
            Err(error) => Err(error),
        };
        // Another close was first.
        let is_closed = self
            .db
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none();
        if is_closed { Ok(()) } else { closed }
    }
}

impl Drop for Journal {
    /// Waits for the writer, which has at most one line of changes left.
    fn drop(&mut self) {
        self.line = None;
        let thread = self
            .thread
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            // A panic there has been told to everybody who waited.
            let _ = thread.join();
        }
    }
}

fn open(path: &Path, declared: &[(String, String)]) -> Result<(Database, Opened)> {
    let text = path.display().to_string();
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|error| {
            let action = format!("create the directory `{}`", parent.display());
            Error::new(ErrorKind::Other, PROVIDER, &text, action).with_source(error)
        })?;
    }
    let opened = Database::builder().set_cache_size(CACHE).create(path);
    let db = opened.map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => {
            let action = "open the broker's file: another process has it open; stop that one, or use another namespace";
            Error::new(ErrorKind::Unavailable, PROVIDER, &text, action)
        }
        error => failed(&text, "open", &error.into()),
    })?;
    let found = tables::open(&db, declared).map_err(|error| failed(&text, "read", &error))?;
    Ok((db, found))
}

/// The error of an operation on the file.
fn failed(path: &str, action: &str, error: &redb::Error) -> Error {
    use std::io::ErrorKind as Io;
    let kind = match error {
        redb::Error::Io(error) => match error.kind() {
            Io::StorageFull | Io::QuotaExceeded => ErrorKind::Full,
            Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::PermissionDenied,
            Io::InvalidData | Io::UnexpectedEof => {
                return damaged(path, "it is not a broker's file", error.to_string());
            }
            _ => ErrorKind::Other,
        },
        redb::Error::DatabaseClosed => ErrorKind::Unavailable,
        redb::Error::Corrupted(_)
        | redb::Error::RepairAborted
        | redb::Error::UpgradeRequired(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TypeDefinitionChanged { .. } => {
            return damaged(path, "its content contradicts itself", error.to_string());
        }
        _ => ErrorKind::Other,
    };
    let text = format!("{action} the broker's file: {error}");
    Error::new(kind, PROVIDER, path, text).with_source(error.to_string())
}

fn damaged(
    path: &str,
    reason: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    let text = format!(
        "use the broker's file: {reason}; delete it, or run `cargo underlay reset`, and undelivered messages are lost"
    );
    Error::new(ErrorKind::Other, PROVIDER, path, text).with_source(source)
}

/// The time before which nothing is kept.
pub(super) fn keep_since(retention: Option<Duration>, now: SystemTime) -> Option<SystemTime> {
    now.checked_sub(retention?)
}
