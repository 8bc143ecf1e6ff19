//! Caches inside the process: Redis's operations under one lock.
//!
//! Expiry, memory and eviction are in `entries.rs`, the writing of numbers in `number.rs`.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use tokio::time::Instant;
use underlay_model::model::Eviction;

use crate::{
    Error, ErrorKind, Result,
    cache::{Cache, Condition, End, Expiry},
    memory::{
        PROVIDER,
        entries::{Deadline, Entries, Full, List, Set, Value},
        number,
    },
};

/// How much a cache keeps, and what it drops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheOptions {
    /// What is evicted when the memory is full.
    pub eviction: Eviction,
    /// About how many bytes the keys and values may take.
    pub max_memory: u64,
}

impl Default for CacheOptions {
    /// 256 MiB, `allkeys-lru`.
    fn default() -> Self {
        Self {
            eviction: Eviction::default(),
            max_memory: 256 << 20,
        }
    }
}

/// A cache inside the process, which forgets everything when it is dropped.
///
/// Time is tokio's. A write that finds the memory above its limit evicts first, as in Redis: the limit may be exceeded by
/// one write. Where the policy evicts nothing, such a write fails as [`ErrorKind::Full`].
pub struct MemoryCache {
    name: String,
    entries: Mutex<Entries>,
}

impl MemoryCache {
    /// An empty cache; errors call it by the name.
    pub fn new(name: impl Into<String>, options: CacheOptions) -> Self {
        Self {
            name: name.into(),
            entries: Mutex::new(Entries::new(options)),
        }
    }

    /// A panic under the lock would be a defect of ours; the maps stay usable, so it is not spread to every caller.
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, kind: ErrorKind, message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        Error::new(kind, PROVIDER, &self.name, message)
    }

    fn wrong_type(&self, key: &str, expected: &str) -> Error {
        let text = format!("use key `{key}` as a {expected}: it holds something else");
        self.error(ErrorKind::WrongType, text)
    }

    fn deadline(&self, key: &str, expiry: Expiry, now: Instant) -> Result<Deadline> {
        let Expiry::In(time) = expiry else {
            return Ok(match expiry {
                Expiry::Keep => Deadline::Keep,
                _ => Deadline::Never,
            });
        };
        // Redis's clock ticks in milliseconds.
        let time = u64::try_from(time.as_millis())
            .ok()
            .filter(|millis| *millis > 0);
        let at = time.and_then(|millis| now.checked_add(Duration::from_millis(millis)));
        at.map(Deadline::At).ok_or_else(|| {
            let text = format!("let key `{key}` expire in no time or beyond all time: give a millisecond to a century");
            self.error(ErrorKind::InvalidArgument, text)
        })
    }

    /// A write that may need more memory.
    fn grow<R>(
        &self,
        key: &str,
        expiry: Expiry,
        edit: impl FnOnce(&mut Option<Value>) -> Result<R>,
    ) -> Result<R> {
        let now = Instant::now();
        let deadline = self.deadline(key, expiry, now)?;
        let mut entries = self.lock();
        entries.make_room(now).map_err(|Full| {
            let text =
                format!("write key `{key}`: the memory is full and the policy evicts nothing more");
            self.error(ErrorKind::Full, text)
        })?;
        entries.edit(key, deadline, now, edit)
    }

    /// A write that only takes away.
    fn shrink<R>(
        &self,
        key: &str,
        expiry: Expiry,
        edit: impl FnOnce(&mut Option<Value>) -> Result<R>,
    ) -> Result<R> {
        let now = Instant::now();
        let deadline = self.deadline(key, expiry, now)?;
        self.lock().edit(key, deadline, now, edit)
    }

    fn text<'v>(&self, key: &str, value: &'v Option<Value>) -> Result<Option<&'v Bytes>> {
        match value {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong_type(key, "single value")),
        }
    }

    fn read_list<R: Default>(&self, key: &str, read: impl FnOnce(&List) -> R) -> Result<R> {
        match self.lock().get(key, Instant::now()) {
            None => Ok(R::default()),
            Some(Value::List(list)) => Ok(read(list)),
            Some(_) => Err(self.wrong_type(key, "list")),
        }
    }

    fn read_set<R: Default>(&self, key: &str, read: impl FnOnce(&Set) -> R) -> Result<R> {
        match self.lock().get(key, Instant::now()) {
            None => Ok(R::default()),
            Some(Value::Set(set)) => Ok(read(set)),
            Some(_) => Err(self.wrong_type(key, "set")),
        }
    }
}

#[async_trait]
impl Cache for MemoryCache {
    async fn get(&self, keys: &[String]) -> Result<Vec<Option<Bytes>>> {
        let now = Instant::now();
        let mut entries = self.lock();
        let read = |key: &String| match entries.get(key, now) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text.clone())),
            Some(_) => Err(self.wrong_type(key, "single value")),
        };
        keys.iter().map(read).collect()
    }

    async fn set(
        &self,
        key: &str,
        value: Bytes,
        expiry: Expiry,
        condition: Condition,
    ) -> Result<bool> {
        let now = Instant::now();
        // A refused condition must not even touch the expiry, so it is looked at before the edit, under one lock.
        let deadline = self.deadline(key, expiry, now)?;
        let mut entries = self.lock();
        let exists = entries.expires(key, now).is_some();
        if matches!(condition, Condition::IfAbsent) && exists
            || matches!(condition, Condition::IfPresent) && !exists
        {
            return Ok(false);
        }
        entries.make_room(now).map_err(|Full| {
            let text =
                format!("write key `{key}`: the memory is full and the policy evicts nothing more");
            self.error(ErrorKind::Full, text)
        })?;
        entries.edit(key, deadline, now, |old| {
            *old = Some(Value::Text(value));
            Ok(true)
        })
    }

    async fn get_and_set(&self, key: &str, value: Bytes, expiry: Expiry) -> Result<Option<Bytes>> {
        self.grow(key, expiry, |old| {
            let before = self.text(key, old)?.cloned();
            *old = Some(Value::Text(value));
            Ok(before)
        })
    }

    async fn get_and_delete(&self, key: &str) -> Result<Option<Bytes>> {
        self.shrink(key, Expiry::Keep, |old| {
            let before = self.text(key, old)?.cloned();
            *old = None;
            Ok(before)
        })
    }

    async fn delete(&self, keys: &[String]) -> Result<u64> {
        let now = Instant::now();
        let mut entries = self.lock();
        let mut deleted = 0;
        for key in keys {
            if entries.expires(key, now).is_some() {
                entries.remove(key);
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    async fn increment(&self, key: &str, by: i64, expiry: Expiry) -> Result<i64> {
        self.grow(key, expiry, |value| {
            let text = self.text(key, value)?;
            let number = text.map_or(Ok(0), |text| number::parse_integer(text));
            let number = number.map_err(|_| self.wrong_type(key, "whole number of 64 bits"))?;
            let sum = number.checked_add(by).ok_or_else(|| {
                let text = format!("increment key `{key}`: the sum does not fit into 64 bits");
                self.error(ErrorKind::InvalidArgument, text)
            })?;
            *value = Some(Value::Text(Bytes::from(sum.to_string())));
            Ok(sum)
        })
    }

    async fn increment_float(&self, key: &str, by: f64, expiry: Expiry) -> Result<f64> {
        self.grow(key, expiry, |value| {
            let text = self.text(key, value)?;
            let sum = number::add_decimal(text.map_or(b"0", |text| text), by);
            let sum = sum.map_err(|_| self.wrong_type(key, "decimal number"))?;
            let number = sum.as_ref().and_then(|sum| sum.parse::<f64>().ok());
            let (Some(sum), Some(number)) = (sum, number) else {
                let text = format!("increment key `{key}`: the sum is not a finite number");
                return Err(self.error(ErrorKind::InvalidArgument, text));
            };
            *value = Some(Value::Text(Bytes::from(sum)));
            Ok(number)
        })
    }

    async fn append(&self, key: &str, value: Bytes, expiry: Expiry) -> Result<u64> {
        self.grow(key, expiry, |old| {
            self.text(key, old)?;
            let joined = match old.take() {
                Some(Value::Text(text)) => {
                    // In place where nobody else reads the bytes, so that many appends are not quadratic.
                    let mut text = text
                        .try_into_mut()
                        .unwrap_or_else(|text| BytesMut::from(&text[..]));
                    text.extend_from_slice(&value);
                    text.freeze()
                }
                _ => value,
            };
            let len = joined.len() as u64;
            *old = Some(Value::Text(joined));
            Ok(len)
        })
    }

    async fn ttl(&self, key: &str) -> Result<Option<Option<Duration>>> {
        let now = Instant::now();
        let expires = self.lock().expires(key, now);
        Ok(expires.map(|at| at.map(|at| at - now)))
    }

    async fn push(&self, key: &str, end: End, values: Vec<Bytes>, expiry: Expiry) -> Result<u64> {
        if values.is_empty() {
            return self.list_len(key).await;
        }
        self.grow(key, expiry, |value| {
            let value = value.get_or_insert_with(|| Value::List(List::default()));
            let Value::List(list) = value else {
                return Err(self.wrong_type(key, "list"));
            };
            for item in values {
                match end {
                    End::Left => list.push_front(item),
                    End::Right => list.push_back(item),
                }
            }
            Ok(list.items.len() as u64)
        })
    }

    async fn pop(&self, key: &str, end: End, expiry: Expiry) -> Result<Option<Bytes>> {
        self.shrink(key, expiry, |value| match value {
            None => Ok(None),
            Some(Value::List(list)) => Ok(match end {
                End::Left => list.pop_front(),
                End::Right => list.pop_back(),
            }),
            Some(_) => Err(self.wrong_type(key, "list")),
        })
    }

    async fn range(&self, key: &str, start: i64, stop: i64) -> Result<Vec<Bytes>> {
        self.read_list(key, |list| match bounds(list.items.len(), start, stop) {
            Some((first, last)) => list.items.range(first..=last).cloned().collect(),
            None => Vec::new(),
        })
    }

    async fn trim(&self, key: &str, start: i64, stop: i64, expiry: Expiry) -> Result<()> {
        self.shrink(key, expiry, |value| {
            let list = match value {
                None => return Ok(()),
                Some(Value::List(list)) => list,
                Some(_) => return Err(self.wrong_type(key, "list")),
            };
            let Some((first, last)) = bounds(list.items.len(), start, stop) else {
                *value = None;
                return Ok(());
            };
            for _ in last + 1..list.items.len() {
                list.pop_back();
            }
            for _ in 0..first {
                list.pop_front();
            }
            Ok(())
        })
    }

    async fn list_len(&self, key: &str) -> Result<u64> {
        self.read_list(key, |list| list.items.len() as u64)
    }

    async fn add(&self, key: &str, members: Vec<Bytes>, expiry: Expiry) -> Result<u64> {
        if members.is_empty() {
            return self.read_set(key, |_| 0);
        }
        self.grow(key, expiry, |value| {
            let value = value.get_or_insert_with(|| Value::Set(Set::default()));
            let Value::Set(set) = value else {
                return Err(self.wrong_type(key, "set"));
            };
            Ok(members
                .into_iter()
                .map(|member| u64::from(set.insert(member)))
                .sum())
        })
    }

    async fn remove(&self, key: &str, members: Vec<Bytes>, expiry: Expiry) -> Result<u64> {
        if members.is_empty() {
            return self.read_set(key, |_| 0);
        }
        self.shrink(key, expiry, |value| match value {
            None => Ok(0),
            Some(Value::Set(set)) => Ok(members
                .iter()
                .map(|member| u64::from(set.remove(member)))
                .sum()),
            Some(_) => Err(self.wrong_type(key, "set")),
        })
    }

    async fn contains(&self, key: &str, member: Bytes) -> Result<bool> {
        self.read_set(key, |set| set.members.contains(&member))
    }

    async fn members(&self, key: &str) -> Result<Vec<Bytes>> {
        self.read_set(key, |set| set.members.iter().cloned().collect())
    }

    async fn set_len(&self, key: &str) -> Result<u64> {
        self.read_set(key, |set| set.members.len() as u64)
    }
}

/// The first and last index that Redis's inclusive bounds mean in a list of that length; `None` if there is nothing
/// between them.
fn bounds(len: usize, start: i64, stop: i64) -> Option<(usize, usize)> {
    let len = i64::try_from(len).ok()?;
    let from_end = |index: i64| if index < 0 { index + len } else { index };
    let (first, last) = (from_end(start).max(0), from_end(stop).min(len - 1));
    (first <= last).then_some((usize::try_from(first).ok()?, usize::try_from(last).ok()?))
}

#[cfg(test)]
mod tests {
    use super::bounds;

    #[test]
    fn bounds_are_inclusive_and_count_from_both_ends() {
        for (start, stop, expected) in [
            (0, -1, Some((0, 4))),
            (1, 2, Some((1, 2))),
            (-2, -1, Some((3, 4))),
            (-100, 100, Some((0, 4))),
            (3, 1, None),
            (5, 9, None),
            (0, -6, None),
            (i64::MIN, i64::MAX, Some((0, 4))),
            (i64::MAX, i64::MIN, None),
        ] {
            assert_eq!(bounds(5, start, stop), expected, "{start}..={stop}");
        }
        assert_eq!(bounds(0, 0, -1), None);
    }
}
