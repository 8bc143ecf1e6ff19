//! The thread that writes the broker's file: it takes whatever is in the line and commits it together.
//!
//! The only writer. Knows nothing of leases.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::AtomicUsize,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use redb::{Database, Durability};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::{
    Result,
    memory::{
        broker::{Incoming, TopicState},
        journal::{LetterEnd, Settlement, failed, tables},
        queue::Queue,
    },
};

/// The database, until the broker is closed. Readers share it with the writer.
pub(super) type Shared = Arc<RwLock<Option<Database>>>;

/// How long an acknowledgement may wait for something that must be committed anyway.
const FLUSH: Duration = Duration::from_millis(20);
/// How many changes one commit takes at most.
const BATCH: usize = 4096;

/// Tells the caller that its change is in the file, or why not.
pub(super) type Done = oneshot::Sender<Result<()>>;

/// One change, and its place in the line, which is free again when the change is done.
pub(super) struct Ticket {
    pub(super) change: Change,
    pub(super) _place: OwnedSemaphorePermit,
}

pub(super) enum Change {
    Publish {
        topic: Arc<TopicState>,
        messages: Vec<Incoming>,
        done: Done,
    },
    Attempts {
        subscription: u32,
        attempts: Vec<(u64, u32)>,
    },
    Settle {
        settlement: Settlement,
        urgent: bool,
        done: Done,
    },
    Letter {
        letter: Letter,
        done: oneshot::Sender<Result<bool>>,
    },
    Close {
        done: Done,
    },
}

/// A dead letter that is to end.
pub(super) struct Letter {
    pub(super) queue: Arc<Queue>,
    /// Its message if it is released, accepted at the time of the call; without a body yet.
    pub(super) incoming: Incoming,
    pub(super) end: LetterEnd,
}

/// A dead letter that ends in a batch.
struct Ending {
    letter: Letter,
    /// The place in the order that its message gets if it is released.
    seq: u64,
    found: bool,
    done: oneshot::Sender<Result<bool>>,
}

pub(super) struct Writer {
    pub(super) db: Shared,
    pub(super) path: String,
    pub(super) line: Receiver<Ticket>,
    pub(super) next_seq: u64,
    /// How many bytes of messages may stay in memory.
    pub(super) budget: Arc<AtomicUsize>,
}

/// Messages that are committed and not yet in the queues.
struct Published {
    queues: Vec<Arc<Queue>>,
    messages: Vec<(u64, Incoming)>,
    done: Done,
}

impl Writer {
    /// Works until the broker is closed or dropped. What is in the line then is still written.
    pub(super) fn run(mut self) {
        let mut unflushed = false;
        loop {
            let first = if unflushed {
                match self.line.recv_timeout(FLUSH) {
                    Ok(ticket) => Some(ticket),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            } else {
                match self.line.recv() {
                    Ok(ticket) => Some(ticket),
                    Err(_) => break,
                }
            };
            let mut batch: Vec<Ticket> = first.into_iter().collect();
            batch.extend(self.line.try_iter().take(BATCH));
            // An empty batch is the end of the wait: the commit makes the ones before it durable.
            let urgent = batch.is_empty() || batch.iter().any(|ticket| ticket.change.is_urgent());
            let mut close = Vec::new();
            self.write(batch, urgent, &mut close);
            unflushed = !urgent;
            if !close.is_empty() {
                drop(
                    self.db
                        .write()
                        .unwrap_or_else(PoisonError::into_inner)
                        .take(),
                );
                for done in close {
                    let _ = done.send(Ok(()));
                }
                return;
            }
        }
        if unflushed {
            self.write(Vec::new(), true, &mut Vec::new());
        }
        drop(
            self.db
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }

    /// Commits a batch and then tells everybody.
    fn write(&mut self, batch: Vec<Ticket>, urgent: bool, close: &mut Vec<Done>) {
        let mut published = Vec::new();
        let mut settled = Vec::new();
        let mut endings: Vec<Ending> = Vec::new();
        let mut places = Vec::with_capacity(batch.len());
        let first_seq = self.next_seq;
        let mut changes = Vec::with_capacity(batch.len());
        for Ticket { change, _place } in batch {
            places.push(_place);
            match change {
                Change::Publish {
                    topic,
                    messages,
                    done,
                } => {
                    let queues = topic.queues().clone();
                    let messages = messages.into_iter().map(|incoming| {
                        self.next_seq += 1;
                        (self.next_seq - 1, incoming)
                    });
                    published.push(Published {
                        queues,
                        messages: messages.collect(),
                        done,
                    });
                    changes.push(Step::Publish(published.len() - 1));
                }
                Change::Attempts {
                    subscription,
                    attempts,
                } => {
                    changes.push(Step::Attempts(subscription, attempts));
                }
                Change::Settle {
                    settlement, done, ..
                } => {
                    settled.push(done);
                    changes.push(Step::Settle(settlement));
                }
                Change::Letter { letter, done } => {
                    changes.push(Step::Letter(endings.len()));
                    endings.push(Ending {
                        letter,
                        seq: 0,
                        found: false,
                        done,
                    });
                }
                Change::Close { done } => close.push(done),
            }
        }
        // After those that are published, because the queues get them in this order.
        for ending in &mut endings {
            ending.seq = self.next_seq;
            self.next_seq += 1;
        }
        match self.commit(&changes, &published, &mut endings, urgent) {
            Ok(()) => {
                for Published {
                    queues,
                    messages,
                    done,
                } in published
                {
                    let stored: Vec<_> = messages
                        .into_iter()
                        .map(|(seq, incoming)| Arc::new(incoming.into_stored(seq, &self.budget)))
                        .collect();
                    for queue in &queues {
                        queue.push(stored.iter().cloned());
                    }
                    let _ = done.send(Ok(()));
                }
                for done in settled {
                    let _ = done.send(Ok(()));
                }
                for Ending {
                    letter,
                    seq,
                    found,
                    done,
                } in endings
                {
                    if found && letter.end == LetterEnd::Release {
                        let stored = letter.incoming.into_stored(seq, &self.budget);
                        letter.queue.push([Arc::new(stored)]);
                    }
                    let _ = done.send(Ok(found));
                }
            }
            Err(error) => {
                self.next_seq = first_seq;
                // Each caller gets the sentence; a caller that has gone away needs none.
                let dones = published.into_iter().map(|published| published.done);
                for done in dones.chain(settled).chain(close.drain(..)) {
                    let _ = done.send(Err(failed(&self.path, "write", &error)));
                }
                for Ending { done, .. } in endings {
                    let _ = done.send(Err(failed(&self.path, "write", &error)));
                }
            }
        }
    }

    fn commit(
        &self,
        steps: &[Step],
        published: &[Published],
        endings: &mut [Ending],
        urgent: bool,
    ) -> tables::DbResult<()> {
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        let Some(db) = db.as_ref() else {
            return Err(redb::Error::DatabaseClosed);
        };
        let mut transaction = db.begin_write()?;
        transaction.set_durability(if urgent {
            Durability::Immediate
        } else {
            Durability::None
        })?;
        for step in steps {
            match step {
                Step::Publish(index) => {
                    let Published {
                        queues, messages, ..
                    } = &published[*index];
                    let numbers: Vec<u32> = queues.iter().map(|queue| queue.number).collect();
                    if numbers.is_empty() {
                        continue;
                    }
                    for (seq, incoming) in messages {
                        tables::insert(&transaction, *seq, incoming, &numbers)?;
                    }
                }
                Step::Attempts(subscription, attempts) => {
                    tables::note_attempts(&transaction, *subscription, attempts)?;
                }
                Step::Settle(settlement) => tables::settle(&transaction, settlement)?,
                Step::Letter(index) => {
                    let ending = &mut endings[*index];
                    let Letter {
                        queue,
                        incoming,
                        end,
                    } = &mut ending.letter;
                    let found = tables::take_letter(&transaction, queue.number, incoming.id)?;
                    ending.found = found.is_some();
                    if let (Some(message), LetterEnd::Release) = (found, *end) {
                        incoming.message = message;
                        tables::insert(&transaction, ending.seq, incoming, &[queue.number])?;
                    }
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

/// A change that is written; a publish by its index.
enum Step {
    Publish(usize),
    Attempts(u32, Vec<(u64, u32)>),
    Settle(Settlement),
    /// By its index.
    Letter(usize),
}

impl Change {
    /// Whether somebody waits for the change to be durable.
    fn is_urgent(&self) -> bool {
        match self {
            Self::Publish { .. } | Self::Letter { .. } | Self::Close { .. } => true,
            Self::Settle { urgent, .. } => *urgent,
            Self::Attempts { .. } => false,
        }
    }
}
