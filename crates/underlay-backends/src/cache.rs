//! Caches: bytes under keys, with expiry; the operations and their meaning are Redis's.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::Result;

/// What happens to a key's expiry when it is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Expiry {
    /// The key expires after this time, which is at least a millisecond.
    In(Duration),
    /// The key never expires.
    #[default]
    Never,
    /// The key keeps the expiry it has; a new key never expires.
    Keep,
}

/// When a value is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Condition {
    /// Always.
    #[default]
    Always,
    /// Only if there is no such key (`NX`).
    IfAbsent,
    /// Only if there is such a key (`XX`).
    IfPresent,
}

/// The end of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The left end, where the index is 0.
    Left,
    /// The right end.
    Right,
}

/// One cache cluster.
///
/// Every write takes the expiry that the key has afterwards, and applies both at once.
///
/// # Behavior
///
/// - `write_expiry`: after every write the key expires as the expiry says; a write that is refused leaves it alone.
/// - `expiry_bounds`: `In` with less than a millisecond is `InvalidArgument`, and nothing is written.
/// - `wrong_type`: an operation of single values, lists or sets on a key that holds another of the three is
///   `WrongType`, and nothing changes.
#[async_trait]
pub trait Cache: Send + Sync + 'static {
    /// The values of the keys, `None` for those that do not exist.
    ///
    /// # Behavior
    ///
    /// - `get_order`: in the order of the keys, which may repeat.
    /// - `get_expired`: a key whose time has passed does not exist.
    /// - `get_bytes`: the value is returned byte for byte, an empty one as well.
    async fn get(&self, keys: &[String]) -> Result<Vec<Option<Bytes>>>;

    /// Writes a value and says whether it was written.
    ///
    /// # Behavior
    ///
    /// - `set_if_absent`, `set_if_present`: as the condition says; otherwise nothing changes.
    /// - `set_expiry`: `In` replaces the expiry, `Never` removes it, `Keep` keeps it.
    /// - `set_any_type`: a list or set under the key is replaced.
    async fn set(
        &self,
        key: &str,
        value: Bytes,
        expiry: Expiry,
        condition: Condition,
    ) -> Result<bool>;

    /// Writes a value and returns the old one.
    ///
    /// # Behavior
    ///
    /// - `get_and_set`: the value is written whether there was one or not.
    async fn get_and_set(&self, key: &str, value: Bytes, expiry: Expiry) -> Result<Option<Bytes>>;

    /// Removes a key and returns its value.
    ///
    /// # Behavior
    ///
    /// - `get_and_delete`: the key is gone; `None` without one.
    async fn get_and_delete(&self, key: &str) -> Result<Option<Bytes>>;

    /// Removes keys and returns how many there were.
    ///
    /// # Behavior
    ///
    /// - `delete_counts`: keys of every type; a missing or repeated key does not count; no keys are no error.
    async fn delete(&self, keys: &[String]) -> Result<u64>;

    /// Adds to an integer, which is 0 when missing, and returns the sum.
    ///
    /// # Behavior
    ///
    /// - `increment_atomic`: no concurrent increment is lost.
    /// - `increment_overflow`: `InvalidArgument`, and nothing changes.
    /// - `increment_not_a_number`: `WrongType`, also for ` 1`, `+1`, `01` and `1.0`.
    /// - `increment_text`: the sum is stored as decimal digits, which `get` returns.
    async fn increment(&self, key: &str, by: i64, expiry: Expiry) -> Result<i64>;

    /// Adds to a decimal number, which is 0 when missing, and returns the sum.
    ///
    /// # Behavior
    ///
    /// - `increment_float`: the sum is stored without exponent and without zeros at the end; 0.1 + 0.2 is 0.3.
    /// - `increment_float_not_a_number`: `WrongType` when the value is none; `InvalidArgument` when the sum would not
    ///   be finite; nothing changes.
    async fn increment_float(&self, key: &str, by: f64, expiry: Expiry) -> Result<f64>;

    /// Appends bytes to a value, which is empty when missing, and returns the new length in bytes.
    ///
    /// # Behavior
    ///
    /// - `append`: the bytes stand at the end.
    async fn append(&self, key: &str, value: Bytes, expiry: Expiry) -> Result<u64>;

    /// How long a key still lives: `None` when there is no such key, `Some(None)` when it never expires.
    ///
    /// # Behavior
    ///
    /// - `ttl`: it goes down with time, and reading does not change it.
    async fn ttl(&self, key: &str) -> Result<Option<Option<Duration>>>;

    /// Pushes values one after the other to an end of a list and returns the new length.
    ///
    /// # Behavior
    ///
    /// - `push_order`: `a`, `b` pushed to the left stand as `b`, `a`.
    /// - `push_nothing`: no values change nothing, not even the expiry, and the length is returned.
    async fn push(&self, key: &str, end: End, values: Vec<Bytes>, expiry: Expiry) -> Result<u64>;

    /// Takes a value from an end of a list.
    ///
    /// # Behavior
    ///
    /// - `pop_empty`: `None` without a list; a list that becomes empty is removed.
    /// - `pop_ends`: from the end that was asked for.
    async fn pop(&self, key: &str, end: End, expiry: Expiry) -> Result<Option<Bytes>>;

    /// The elements from `start` to `stop`, both included; negative indices count from the right end.
    ///
    /// # Behavior
    ///
    /// - `range_bounds`: bounds outside the list are cut; nothing between them is an empty answer.
    async fn range(&self, key: &str, start: i64, stop: i64) -> Result<Vec<Bytes>>;

    /// Keeps only the elements from `start` to `stop`, both included.
    ///
    /// # Behavior
    ///
    /// - `trim_bounds`: bounds as in `range`; a list of which nothing is left is removed.
    async fn trim(&self, key: &str, start: i64, stop: i64, expiry: Expiry) -> Result<()>;

    /// The length of a list; 0 without one.
    ///
    /// # Behavior
    ///
    /// - `list_len`: as said.
    async fn list_len(&self, key: &str) -> Result<u64>;

    /// Adds members to a set and returns how many are new.
    ///
    /// # Behavior
    ///
    /// - `add_counts`: each new member once; no members change nothing, not even the expiry.
    async fn add(&self, key: &str, members: Vec<Bytes>, expiry: Expiry) -> Result<u64>;

    /// Removes members from a set and returns how many there were.
    ///
    /// # Behavior
    ///
    /// - `remove_counts`: each member once; a set that becomes empty is removed; no members change nothing, not even
    ///   the expiry.
    async fn remove(&self, key: &str, members: Vec<Bytes>, expiry: Expiry) -> Result<u64>;

    /// Whether a set has a member.
    async fn contains(&self, key: &str, member: Bytes) -> Result<bool>;

    /// The members of a set, in no order.
    ///
    /// # Behavior
    ///
    /// - `set_reads`: members, size and membership agree; without a set they are none, 0 and `false`.
    async fn members(&self, key: &str) -> Result<Vec<Bytes>>;

    /// The size of a set; 0 without one.
    async fn set_len(&self, key: &str) -> Result<u64>;
}
