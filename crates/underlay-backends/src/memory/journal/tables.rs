//! The tables of the broker's file, and every read and write of them.
//!
//! Everything here blocks. Knows nothing of threads and queues.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use redb::{Database, ReadableDatabase as _, ReadableTable, TableDefinition, WriteTransaction};

use crate::{
    id,
    memory::{
        broker::{Incoming, Removed},
        journal::Settlement,
    },
    topic::{DeadLetter, Message},
};

/// The number of this arrangement of tables.
const FORMAT: u64 = 1;

type Attributes<'a> = Vec<(&'a str, &'a str)>;

const ABOUT: TableDefinition<&str, u64> = TableDefinition::new("about");
/// Topic and subscription; the subscription's number.
const SUBSCRIPTIONS: TableDefinition<(&str, &str), u32> = TableDefinition::new("subscriptions");
/// Place in the order; id, milliseconds since 1970, ordering key. Read whole when the file is opened.
const HEADS: TableDefinition<u64, (u128, u64, Option<&str>)> = TableDefinition::new("heads");
/// Place in the order; attributes and body.
const BODIES: TableDefinition<u64, (Attributes<'static>, &[u8])> = TableDefinition::new("bodies");
/// Subscription and place of a message that it has not settled; how often it was delivered.
const BACKLOG: TableDefinition<(u32, u64), u32> = TableDefinition::new("backlog");
/// Subscription, milliseconds since 1970 and place; id, attempts, reason, ordering key, attributes, body.
const DEAD: TableDefinition<(u32, u64, u64), Dead<'static>> = TableDefinition::new("dead");
type Dead<'a> = (
    u128,
    u32,
    &'a str,
    Option<&'a str>,
    Attributes<'a>,
    &'a [u8],
);

/// Place of a message that is delayed; milliseconds since 1970 when it may be delivered.
const DUE: TableDefinition<u64, u64> = TableDefinition::new("due");

/// How many dead letters past their time one new dead letter removes.
const PURGED_PER_DEATH: usize = 16;

/// Every failure of the store.
pub(super) type DbResult<T> = Result<T, redb::Error>;

/// A message without its body, as the file has it.
pub(super) struct Head {
    pub(super) seq: u64,
    pub(super) id: u128,
    pub(super) published_at: SystemTime,
    pub(super) not_before: Option<SystemTime>,
    pub(super) ordering_key: Option<String>,
}

/// A subscription's number, and how many messages wait for it.
pub(super) type Waiting = (u32, u64);

/// What was found in the file.
pub(super) enum Opened {
    /// The file is of another version of this crate.
    OtherFormat(u64),
    Found {
        /// The first place in the order that is free.
        next_seq: u64,
        /// By topic and subscription, the declared ones only.
        waiting: BTreeMap<(String, String), Waiting>,
        removed: Vec<Removed>,
    },
}

fn time(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(millis)
}

/// Makes the tables, removes what is not declared any more and counts the rest.
pub(super) fn open(db: &Database, declared: &[(String, String)]) -> DbResult<Opened> {
    let transaction = db.begin_write()?;
    let mut removed = Vec::new();
    let mut waiting = BTreeMap::new();
    let next_seq;
    {
        let mut about = transaction.open_table(ABOUT)?;
        let format = about.get("format")?.map(|format| format.value());
        match format {
            Some(FORMAT) => {}
            Some(other) => return Ok(Opened::OtherFormat(other)),
            None => drop(about.insert("format", FORMAT)?),
        }
        let mut subscriptions = transaction.open_table(SUBSCRIPTIONS)?;
        let mut backlog = transaction.open_table(BACKLOG)?;
        let mut dead = transaction.open_table(DEAD)?;
        let mut numbers = BTreeMap::new();
        for row in subscriptions.iter()? {
            let (names, number) = row?;
            let (topic, name) = names.value();
            numbers.insert((topic.to_owned(), name.to_owned()), number.value());
        }
        for (names, number) in &numbers {
            if declared.contains(names) {
                continue;
            }
            let (topic, subscription) = names;
            subscriptions.remove((topic.as_str(), subscription.as_str()))?;
            let (mut messages, mut dead_letters) = (0, 0);
            backlog.retain_in((*number, 0)..=(*number, u64::MAX), |_, _| {
                messages += 1;
                false
            })?;
            dead.retain_in((*number, 0, 0)..=(*number, u64::MAX, u64::MAX), |_, _| {
                dead_letters += 1;
                false
            })?;
            removed.push(Removed {
                topic: topic.clone(),
                subscription: subscription.clone(),
                messages,
                dead_letters,
            });
        }
        let mut next = numbers.values().max().map_or(1, |number| number + 1);
        for names in declared {
            let number = numbers.get(names).copied().unwrap_or_else(|| {
                next += 1;
                next - 1
            });
            subscriptions.insert((names.0.as_str(), names.1.as_str()), number)?;
            let rows = backlog.range((number, 0)..=(number, u64::MAX))?;
            waiting.insert(names.clone(), (number, rows.count() as u64));
        }
        let mut heads = transaction.open_table(HEADS)?;
        let mut bodies = transaction.open_table(BODIES)?;
        let mut due = transaction.open_table(DUE)?;
        next_seq = heads.last()?.map_or(1, |(seq, _)| seq.value() + 1);
        if removed.iter().any(|it| it.messages > 0) {
            let mut unneeded = Vec::new();
            for row in heads.iter()? {
                let seq = row?.0.value();
                let numbers = waiting.values().map(|(number, _)| *number);
                if !is_needed(&backlog, numbers, seq)? {
                    unneeded.push(seq);
                }
            }
            for seq in unneeded {
                heads.remove(seq)?;
                bodies.remove(seq)?;
                due.remove(seq)?;
            }
        }
    }
    transaction.commit()?;
    Ok(Opened::Found {
        next_seq,
        waiting,
        removed,
    })
}

/// Whether one of these subscriptions has not settled a message.
fn is_needed(
    backlog: &impl ReadableTable<(u32, u64), u32>,
    subscriptions: impl IntoIterator<Item = u32>,
    seq: u64,
) -> DbResult<bool> {
    for subscription in subscriptions {
        if backlog.get((subscription, seq))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The first `limit` messages from a place on that wait for a subscription, with the deliveries that each has had.
pub(super) fn backlog(
    db: &Database,
    subscription: u32,
    from: u64,
    limit: usize,
) -> DbResult<Vec<(Head, u32)>> {
    let transaction = db.begin_read()?;
    let heads = transaction.open_table(HEADS)?;
    let due = transaction.open_table(DUE)?;
    let table = transaction.open_table(BACKLOG)?;
    let mut rows = Vec::new();
    for row in table
        .range((subscription, from)..=(subscription, u64::MAX))?
        .take(limit)
    {
        let (key, attempts) = row?;
        let seq = key.value().1;
        let Some(head) = heads.get(seq)? else {
            continue;
        };
        let (id, published_at, ordering_key) = head.value();
        let head = Head {
            seq,
            id,
            published_at: time(published_at),
            not_before: due.get(seq)?.map(|millis| time(millis.value())),
            ordering_key: ordering_key.map(str::to_owned),
        };
        rows.push((head, attempts.value()));
    }
    Ok(rows)
}

/// Writes a message and its place in the backlog of each subscription.
pub(super) fn insert(
    transaction: &WriteTransaction,
    seq: u64,
    incoming: &Incoming,
    subscriptions: &[u32],
) -> DbResult<()> {
    let Incoming {
        id,
        published_at,
        message,
        ..
    } = incoming;
    let (id, published_at) = (*id, *published_at);
    let head = (
        id,
        id::millis(published_at),
        message.ordering_key.as_deref(),
    );
    transaction.open_table(HEADS)?.insert(seq, head)?;
    let body = (attributes(message), &message.body[..]);
    transaction.open_table(BODIES)?.insert(seq, body)?;
    if let Some(delay) = message.delay {
        let due = id::millis(published_at)
            .saturating_add(delay.as_millis().try_into().unwrap_or(u64::MAX));
        transaction.open_table(DUE)?.insert(seq, due)?;
    }
    let mut backlog = transaction.open_table(BACKLOG)?;
    for subscription in subscriptions {
        backlog.insert((*subscription, seq), 0)?;
    }
    Ok(())
}

fn attributes(message: &Message) -> Attributes<'_> {
    message
        .attributes
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect()
}

/// Notes how often messages were delivered.
pub(super) fn note_attempts(
    transaction: &WriteTransaction,
    subscription: u32,
    attempts: &[(u64, u32)],
) -> DbResult<()> {
    let mut backlog = transaction.open_table(BACKLOG)?;
    for (seq, attempts) in attempts {
        if let Some(mut row) = backlog.get_mut((subscription, *seq))? {
            row.insert(attempts)?;
        }
    }
    Ok(())
}

/// Ends a message for one subscription, and altogether when that was the last.
pub(super) fn settle(transaction: &WriteTransaction, settlement: &Settlement) -> DbResult<()> {
    let Settlement {
        topic,
        subscription,
        seq,
        dead,
    } = settlement;
    let mut backlog = transaction.open_table(BACKLOG)?;
    backlog.remove((*subscription, *seq))?;
    let subscriptions: Vec<u32> = topic.queues().iter().map(|queue| queue.number).collect();
    let mut heads = transaction.open_table(HEADS)?;
    let mut bodies = transaction.open_table(BODIES)?;
    if let Some(death) = dead {
        let mut table = transaction.open_table(DEAD)?;
        if let (Some(head), Some(body)) = (heads.get(seq)?, bodies.get(seq)?) {
            let ((id, _, ordering_key), (attributes, body)) = (head.value(), body.value());
            let key = (*subscription, id::millis(death.failed_at), *seq);
            table.insert(
                key,
                (
                    id,
                    death.attempts,
                    death.reason.as_str(),
                    ordering_key,
                    attributes,
                    body,
                ),
            )?;
        }
        if let Some(since) = death.keep_since {
            for _ in 0..PURGED_PER_DEATH {
                let end = (*subscription, id::millis(since), 0);
                let old = table
                    .range((*subscription, 0, 0)..end)?
                    .next()
                    .transpose()?
                    .map(|(key, _)| key.value());
                match old {
                    Some(key) => drop(table.remove(key)?),
                    None => break,
                }
            }
        }
    }
    if !is_needed(&backlog, subscriptions, *seq)? {
        heads.remove(seq)?;
        bodies.remove(seq)?;
        transaction.open_table(DUE)?.remove(seq)?;
    }
    Ok(())
}

/// Takes a dead letter's message out of the table; `None` when there is no such letter.
pub(super) fn take_letter(
    transaction: &WriteTransaction,
    subscription: u32,
    letter: u128,
) -> DbResult<Option<Message>> {
    let mut table = transaction.open_table(DEAD)?;
    let range = (subscription, 0, 0)..=(subscription, u64::MAX, u64::MAX);
    let mut found = None;
    for row in table.range(range)? {
        let (key, value) = row?;
        let (id, _, _, ordering_key, attributes, body) = value.value();
        if id == letter {
            found = Some((key.value(), message(ordering_key, attributes, body)));
            break;
        }
    }
    let Some((key, message)) = found else {
        return Ok(None);
    };
    table.remove(key)?;
    Ok(Some(message))
}

/// Reads messages; those that are missing are left out.
pub(super) fn read(db: &Database, seqs: &[u64]) -> DbResult<HashMap<u64, Message>> {
    let transaction = db.begin_read()?;
    let heads = transaction.open_table(HEADS)?;
    let bodies = transaction.open_table(BODIES)?;
    let mut messages = HashMap::with_capacity(seqs.len());
    for seq in seqs {
        if let (Some(head), Some(body)) = (heads.get(seq)?, bodies.get(seq)?) {
            let (attributes, body) = body.value();
            messages.insert(*seq, message(head.value().2, attributes, body));
        }
    }
    Ok(messages)
}

fn message(ordering_key: Option<&str>, attributes: Attributes<'_>, body: &[u8]) -> Message {
    let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    Message {
        body: Bytes::copy_from_slice(body),
        attributes: attributes.into_iter().map(own).collect(),
        ordering_key: ordering_key.map(str::to_owned),
        delay: None,
        id: None,
    }
}

/// The oldest dead letters of a subscription that are not older than `since`.
pub(super) fn dead_letters(
    db: &Database,
    subscription: u32,
    limit: usize,
    since: SystemTime,
) -> DbResult<Vec<DeadLetter>> {
    let transaction = db.begin_read()?;
    let table = transaction.open_table(DEAD)?;
    let range = (subscription, id::millis(since), 0)..=(subscription, u64::MAX, u64::MAX);
    let mut letters = Vec::new();
    for row in table.range(range)?.take(limit) {
        let (key, value) = row?;
        let (_, failed_at, _) = key.value();
        let (id, attempts, reason, ordering_key, attributes, body) = value.value();
        letters.push(DeadLetter {
            id: id::text(id),
            attempts,
            reason: reason.to_owned(),
            failed_at: time(failed_at),
            message: message(ordering_key, attributes, body),
        });
    }
    Ok(letters)
}
