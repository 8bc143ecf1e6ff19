//! Ids that no two messages or versions share, across processes and restarts, and that sort by time.
//!
//! Knows nothing of what they name.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970; 0 for a clock before that.
pub(crate) fn millis(time: SystemTime) -> u64 {
    let elapsed = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// A new id: 48 bits of time in milliseconds, then 80 random ones.
pub(crate) fn fresh(now: SystemTime) -> u128 {
    let random = rand::random::<u128>() >> 48;
    (u128::from(millis(now)) << 80) | random
}

/// An id as users see it.
pub(crate) fn text(id: u128) -> String {
    format!("{id:032x}")
}

/// The id that users see as this; `None` for a text that is none of ours.
#[cfg(feature = "memory")]
pub(crate) fn parse(text: &str) -> Option<u128> {
    u128::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, time::Duration};

    use super::*;

    #[test]
    fn ids_are_distinct_and_sort_by_time() {
        let now = SystemTime::now();
        let ids: HashSet<u128> = (0..10_000).map(|_| fresh(now)).collect();
        assert_eq!(ids.len(), 10_000);
        let later = fresh(now + Duration::from_millis(1));
        assert!(ids.iter().all(|id| text(*id) < text(later)));
        assert_eq!(text(later).len(), 32);
    }
}
