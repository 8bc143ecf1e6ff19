//! The keys of one cache: values, expiry, memory and eviction.
//!
//! Knows nothing of locks and of the operations; the time is an argument.

use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use indexmap::{IndexMap, IndexSet};
use tokio::time::Instant;
use underlay_model::model::Eviction;

use crate::memory::cache::CacheOptions;

/// About what a key costs besides its text and value.
const KEY_OVERHEAD: u64 = 160;
/// About what an element of a list or set costs besides its bytes.
const ELEMENT_OVERHEAD: u64 = 48;
/// How many keys an eviction looks at. With ten, sampling is close to true LRU.
const SAMPLE: usize = 10;
/// How many expired keys one write removes at most, unless memory is short.
const EXPIRED_PER_WRITE: usize = 16;

/// What is under a key.
pub(super) enum Value {
    Text(Bytes),
    List(List),
    Set(Set),
}

/// A list and the size of its elements.
#[derive(Default)]
pub(super) struct List {
    pub(super) items: VecDeque<Bytes>,
    bytes: u64,
}

impl List {
    pub(super) fn push_front(&mut self, item: Bytes) {
        self.bytes += element_size(&item);
        self.items.push_front(item);
    }

    pub(super) fn push_back(&mut self, item: Bytes) {
        self.bytes += element_size(&item);
        self.items.push_back(item);
    }

    pub(super) fn pop_front(&mut self) -> Option<Bytes> {
        self.items
            .pop_front()
            .inspect(|item| self.bytes -= element_size(item))
    }

    pub(super) fn pop_back(&mut self) -> Option<Bytes> {
        self.items
            .pop_back()
            .inspect(|item| self.bytes -= element_size(item))
    }
}

/// A set and the size of its members.
#[derive(Default)]
pub(super) struct Set {
    pub(super) members: HashSet<Bytes>,
    bytes: u64,
}

impl Set {
    pub(super) fn insert(&mut self, member: Bytes) -> bool {
        let size = element_size(&member);
        let new = self.members.insert(member);
        if new {
            self.bytes += size;
        }
        new
    }

    pub(super) fn remove(&mut self, member: &Bytes) -> bool {
        let removed = self.members.remove(member);
        if removed {
            self.bytes -= element_size(member);
        }
        removed
    }
}

fn element_size(bytes: &Bytes) -> u64 {
    bytes.len() as u64 + ELEMENT_OVERHEAD
}

impl Value {
    fn size(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::List(list) => list.bytes,
            Self::Set(set) => set.bytes,
        }
    }

    /// A list or set without elements does not exist.
    fn is_empty(&self) -> bool {
        match self {
            Self::Text(_) => false,
            Self::List(list) => list.items.is_empty(),
            Self::Set(set) => set.members.is_empty(),
        }
    }
}

/// What a write does with the time at which its key expires.
#[derive(Clone, Copy)]
pub(super) enum Deadline {
    At(Instant),
    Never,
    Keep,
}

struct Entry {
    value: Value,
    expires: Option<Instant>,
    size: u64,
    /// The number of the access that touched it last.
    used: u64,
    frequency: Frequency,
}

/// All keys of one cache.
pub(super) struct Entries {
    options: CacheOptions,
    /// Indexed, so that a random key can be picked.
    keys: IndexMap<Arc<str>, Entry>,
    /// The keys that expire: indexed for sampling, and by time.
    volatile: IndexSet<Arc<str>>,
    deadlines: BTreeSet<(Instant, Arc<str>)>,
    bytes: u64,
    accesses: u64,
}

/// The memory is full and the policy allows no eviction that helps.
#[derive(Debug)]
pub(super) struct Full;

impl Entries {
    pub(super) fn new(options: CacheOptions) -> Self {
        Self {
            options,
            keys: IndexMap::new(),
            volatile: IndexSet::new(),
            deadlines: BTreeSet::new(),
            bytes: 0,
            accesses: 0,
        }
    }

    /// The value of a key that exists, which counts as an access.
    pub(super) fn get(&mut self, key: &str, now: Instant) -> Option<&Value> {
        self.drop_if_expired(key, now);
        self.accesses += 1;
        let entry = self.keys.get_mut(key)?;
        entry.used = self.accesses;
        entry.frequency.touch(now);
        Some(&entry.value)
    }

    /// When a key expires, if it exists; no access.
    pub(super) fn expires(&mut self, key: &str, now: Instant) -> Option<Option<Instant>> {
        self.drop_if_expired(key, now);
        self.keys.get(key).map(|entry| entry.expires)
    }

    /// Makes room for a write that may grow; removes expired keys on the way.
    pub(super) fn make_room(&mut self, now: Instant) -> Result<(), Full> {
        self.collect_expired(now, EXPIRED_PER_WRITE);
        while self.bytes > self.options.max_memory {
            if self.collect_expired(now, EXPIRED_PER_WRITE) > 0 {
                continue;
            }
            let victim = self.victim(now).ok_or(Full)?;
            self.remove(&victim);
        }
        Ok(())
    }

    /// Changes what is under a key, or makes or removes it, and sets when it expires. When `edit` fails it must have
    /// changed nothing.
    pub(super) fn edit<R, E>(
        &mut self,
        key: &str,
        deadline: Deadline,
        now: Instant,
        edit: impl FnOnce(&mut Option<Value>) -> Result<R, E>,
    ) -> Result<R, E> {
        self.drop_if_expired(key, now);
        self.accesses += 1;
        let Some(index) = self.keys.get_index_of(key) else {
            let mut value = None;
            let result = edit(&mut value)?;
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                self.insert(Arc::from(key), value, now);
                self.expire(key, deadline);
            }
            return Ok(result);
        };
        let entry = &mut self.keys[index];
        entry.used = self.accesses;
        entry.frequency.touch(now);
        let mut value = Some(std::mem::replace(
            &mut entry.value,
            Value::Text(Bytes::new()),
        ));
        let result = edit(&mut value);
        match value.filter(|value| !value.is_empty()) {
            None => {
                self.remove(key);
            }
            Some(value) => {
                let size = KEY_OVERHEAD + key.len() as u64 + value.size();
                self.bytes = self.bytes - entry.size + size;
                entry.size = size;
                entry.value = value;
                if result.is_ok() {
                    self.expire(key, deadline);
                }
            }
        }
        result
    }

    /// Removes a key and returns its value.
    pub(super) fn remove(&mut self, key: &str) -> Option<Value> {
        let (key, entry) = self.keys.swap_remove_entry(key)?;
        self.bytes -= entry.size;
        if let Some(expires) = entry.expires {
            self.volatile.swap_remove(&key);
            self.deadlines.remove(&(expires, key));
        }
        Some(entry.value)
    }

    fn insert(&mut self, key: Arc<str>, value: Value, now: Instant) {
        let size = KEY_OVERHEAD + key.len() as u64 + value.size();
        self.bytes += size;
        let entry = Entry {
            value,
            expires: None,
            size,
            used: self.accesses,
            frequency: Frequency::new(now),
        };
        self.keys.insert(key, entry);
    }

    fn expire(&mut self, key: &str, deadline: Deadline) {
        let expires = match deadline {
            Deadline::Keep => return,
            Deadline::Never => None,
            Deadline::At(at) => Some(at),
        };
        let Some((_, key, entry)) = self.keys.get_full_mut(key) else {
            return;
        };
        let before = std::mem::replace(&mut entry.expires, expires);
        if let Some(before) = before {
            self.deadlines.remove(&(before, Arc::clone(key)));
        }
        match (before, expires) {
            (_, Some(at)) => {
                self.deadlines.insert((at, Arc::clone(key)));
                self.volatile.insert(Arc::clone(key));
            }
            (Some(_), None) => drop(self.volatile.swap_remove(key)),
            (None, None) => {}
        }
    }

    fn drop_if_expired(&mut self, key: &str, now: Instant) {
        let expires = self.keys.get(key).and_then(|entry| entry.expires);
        if expires.is_some_and(|at| at <= now) {
            self.remove(key);
        }
    }

    /// Removes at most `limit` expired keys and says how many there were.
    fn collect_expired(&mut self, now: Instant, limit: usize) -> usize {
        for removed in 0..limit {
            match self.deadlines.first() {
                Some((at, key)) if *at <= now => {
                    let key = Arc::clone(key);
                    self.remove(&key);
                }
                _ => return removed,
            }
        }
        limit
    }

    /// The key to evict, as the policy says.
    fn victim(&self, now: Instant) -> Option<Arc<str>> {
        let recency = |entry: &Entry| entry.used;
        let frequency = |entry: &Entry| u64::from(entry.frequency.at(now));
        let victim = match self.options.eviction {
            Eviction::Noeviction => None,
            Eviction::AllkeysLru => least(self.sample_all(SAMPLE), recency),
            Eviction::AllkeysLfu => least(self.sample_all(SAMPLE), frequency),
            Eviction::AllkeysRandom => self.sample_all(1).next().map(|(key, _)| key),
            Eviction::VolatileLru => least(self.sample_volatile(SAMPLE), recency),
            Eviction::VolatileLfu => least(self.sample_volatile(SAMPLE), frequency),
            Eviction::VolatileTtl => self.deadlines.first().map(|(_, key)| key),
            Eviction::VolatileRandom => self.sample_volatile(1).next().map(|(key, _)| key),
        };
        victim.cloned()
    }

    fn sample_all(&self, count: usize) -> impl Iterator<Item = (&Arc<str>, &Entry)> {
        sample(self.keys.len(), count).filter_map(|index| self.keys.get_index(index))
    }

    fn sample_volatile(&self, count: usize) -> impl Iterator<Item = (&Arc<str>, &Entry)> {
        sample(self.volatile.len(), count).filter_map(|index| {
            let key = self.volatile.get_index(index)?;
            Some((key, self.keys.get(key)?))
        })
    }
}

/// The key of the lowest rank.
fn least<'k>(
    keys: impl Iterator<Item = (&'k Arc<str>, &'k Entry)>,
    rank: impl Fn(&Entry) -> u64,
) -> Option<&'k Arc<str>> {
    keys.min_by_key(|(_, entry)| rank(entry))
        .map(|(key, _)| key)
}

/// `count` random indices below `len`, or all of them if there are no more.
fn sample(len: usize, count: usize) -> impl Iterator<Item = usize> {
    let all = len <= count;
    (0..count.min(len)).map(move |index| {
        if all {
            index
        } else {
            rand::random_range(0..len)
        }
    })
}

/// How often a key is used: a counter that grows ever more slowly and falls by one each minute, as Redis's does.
#[derive(Clone, Copy)]
struct Frequency {
    counter: u8,
    since: Instant,
}

impl Frequency {
    /// What a new key starts with, so that it is not evicted at once.
    const START: u8 = 5;
    const LOG_FACTOR: f64 = 10.0;
    const DECAY: Duration = Duration::from_secs(60);

    fn new(now: Instant) -> Self {
        Self {
            counter: Self::START,
            since: now,
        }
    }

    fn at(self, now: Instant) -> u8 {
        let periods = now.saturating_duration_since(self.since).as_secs() / Self::DECAY.as_secs();
        self.counter
            .saturating_sub(u8::try_from(periods).unwrap_or(u8::MAX))
    }

    fn touch(&mut self, now: Instant) {
        let counter = self.at(now);
        let above = f64::from(counter.saturating_sub(Self::START));
        let grows = rand::random::<f64>() < 1.0 / (above * Self::LOG_FACTOR + 1.0);
        if counter != self.counter {
            self.since = now;
        }
        self.counter = counter.saturating_add(u8::from(grows));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: usize = 1000;

    fn set(entries: &mut Entries, key: &str, deadline: Deadline, now: Instant) -> Result<(), Full> {
        entries.make_room(now)?;
        entries.edit(key, deadline, now, |value| {
            *value = Some(Value::Text(Bytes::from(vec![0; VALUE])));
            Ok(())
        })
    }

    /// Fills a cache for 100 keys with 100 keys that expire (`v..`, in reverse order) and 100 that do not (`k..`);
    /// `k0..k9` and `v0..v9` are read often. Returns the keys that are left.
    fn fill(eviction: Eviction) -> Result<Vec<String>, Full> {
        let now = Instant::now();
        let max_memory = 100 * (VALUE as u64 + KEY_OVERHEAD + 2);
        let mut entries = Entries::new(CacheOptions {
            eviction,
            max_memory,
        });
        for index in 0..100u32 {
            let at = now + Duration::from_secs(u64::from(1000 - index));
            set(&mut entries, &format!("v{index}"), Deadline::At(at), now)?;
            set(&mut entries, &format!("k{index}"), Deadline::Never, now)?;
            for hot in 0..10 {
                entries.get(&format!("k{hot}"), now);
                entries.get(&format!("v{hot}"), now);
            }
            assert!(entries.bytes <= max_memory + VALUE as u64 + KEY_OVERHEAD + 3);
            let sum: u64 = entries.keys.values().map(|entry| entry.size).sum();
            assert_eq!(entries.bytes, sum);
            assert_eq!(entries.volatile.len(), entries.deadlines.len());
        }
        Ok(entries.keys.keys().map(|key| key.to_string()).collect())
    }

    #[test]
    fn every_policy_evicts_what_it_says() {
        let hot = |keys: &[String], kind: char| {
            (0..10)
                .filter(|index| keys.contains(&format!("{kind}{index}")))
                .count()
        };
        let of_kind =
            |keys: &[String], kind: char| keys.iter().filter(|key| key.starts_with(kind)).count();

        assert!(fill(Eviction::Noeviction).is_err());
        for eviction in [Eviction::AllkeysLru, Eviction::AllkeysLfu] {
            let keys = fill(eviction).unwrap();
            assert_eq!((hot(&keys, 'k'), hot(&keys, 'v')), (10, 10), "{eviction:?}");
        }
        let keys = fill(Eviction::AllkeysRandom).unwrap();
        assert!(of_kind(&keys, 'k') > 10 && of_kind(&keys, 'v') > 10);
        // 100 keys that never expire fit exactly; the last write may find one that expires beside them.
        for eviction in [
            Eviction::VolatileLru,
            Eviction::VolatileLfu,
            Eviction::VolatileRandom,
            Eviction::VolatileTtl,
        ] {
            let keys = fill(eviction).unwrap();
            assert_eq!(of_kind(&keys, 'k'), 100, "{eviction:?}");
        }
    }

    #[test]
    fn volatile_ttl_takes_the_soonest() {
        let now = Instant::now();
        let mut entries = Entries::new(CacheOptions {
            eviction: Eviction::VolatileTtl,
            max_memory: 0,
        });
        for (key, seconds) in [("late", 30), ("soon", 10), ("middle", 20)] {
            let at = now + Duration::from_secs(seconds);
            entries
                .edit(key, Deadline::At(at), now, |value| {
                    *value = Some(Value::Text(Bytes::new()));
                    Ok::<_, Full>(())
                })
                .unwrap();
        }
        let mut order = Vec::new();
        while let Some(victim) = entries.victim(now) {
            entries.remove(&victim);
            order.push(victim.to_string());
        }
        assert_eq!(order, ["soon", "middle", "late"]);
    }

    #[test]
    fn expired_keys_go_without_being_asked_for() {
        let now = Instant::now();
        let mut entries = Entries::new(CacheOptions::default());
        for index in 0..100 {
            let at = now + Duration::from_millis(index + 1);
            set(&mut entries, &format!("old{index}"), Deadline::At(at), now).unwrap();
        }
        let later = now + Duration::from_secs(1);
        for index in 0..100 {
            set(&mut entries, &format!("new{index}"), Deadline::Never, later).unwrap();
        }
        assert_eq!(entries.keys.len(), 100);
        assert!(entries.volatile.is_empty() && entries.deadlines.is_empty());
    }

    #[test]
    fn sizes_follow_lists_and_sets() {
        let now = Instant::now();
        let mut entries = Entries::new(CacheOptions::default());
        let edit = |entries: &mut Entries, change: fn(&mut List)| {
            let result: Result<(), Full> = entries.edit("list", Deadline::Keep, now, |value| {
                let value = value.get_or_insert_with(|| Value::List(List::default()));
                if let Value::List(list) = value {
                    change(list);
                }
                Ok(())
            });
            result.unwrap();
            entries.bytes
        };
        let one = edit(&mut entries, |list| {
            list.push_back(Bytes::from_static(b"abc"))
        });
        let two = edit(&mut entries, |list| {
            list.push_front(Bytes::from_static(b"defg"))
        });
        assert_eq!(two - one, 4 + ELEMENT_OVERHEAD);
        assert_eq!(edit(&mut entries, |list| drop(list.pop_front())), one);
        assert_eq!(edit(&mut entries, |list| drop(list.pop_back())), 0);
        assert!(entries.keys.is_empty());
    }
}
