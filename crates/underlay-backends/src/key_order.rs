//! Which messages of an ordered subscription may be delivered now: of each key only the earliest, and no other of the
//! key until that one is settled.
//!
//! For brokers that hand out more than the heads of their keys. Knows no broker, no time and no message: the caller
//! keeps those by their positions.

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    hash::Hash,
};

/// The unsettled messages of one subscription by their positions `P`, which sort as the messages were published.
///
/// A message [arrives](Self::arrived), is [handed out](Self::next), and is [settled](Self::settled) when it was
/// acknowledged or given up. Meanwhile it may be [away](Self::away), with the broker, from where it arrives again. From
/// its first arrival until it is settled, later messages of its key are held back.
///
/// Messages without a key are handed out at once.
#[derive(Debug)]
pub(crate) struct KeyOrder<P> {
    messages: HashMap<P, Unsettled>,
    /// The keys with unsettled messages.
    lines: HashMap<String, Line<P>>,
    /// What may be handed out.
    ready: BTreeSet<P>,
}

/// What is known of one message.
#[derive(Debug)]
struct Unsettled {
    key: Option<String>,
    place: Place,
}

/// Where a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Here; to be handed out when it is its turn.
    Here,
    /// Handed out.
    Out,
    /// With the broker, which delivers it again.
    Away,
}

/// The unsettled messages of one key.
#[derive(Debug)]
struct Line<P> {
    positions: BTreeSet<P>,
    /// How many are handed out: more than one where an early message arrived late.
    out: usize,
    /// Which of them is in `KeyOrder::ready`.
    ready: Option<P>,
}

impl<P> Default for KeyOrder<P> {
    fn default() -> Self {
        Self {
            messages: HashMap::new(),
            lines: HashMap::new(),
            ready: BTreeSet::new(),
        }
    }
}

impl<P: Copy + Ord + Hash> KeyOrder<P> {
    /// The broker delivered a message: for the first time, or again.
    ///
    /// One that is handed out may be handed out a second time from now on; a caller that does not want that, because the
    /// message's lease goes on, keeps this delivery to itself.
    pub(crate) fn arrived(&mut self, position: P, key: Option<&str>) {
        if let Entry::Vacant(vacant) = self.messages.entry(position) {
            vacant.insert(Unsettled {
                key: key.map(str::to_owned),
                place: Place::Away,
            });
            if let Some(key) = key {
                let line = self.lines.entry(key.to_owned()).or_insert_with(|| Line {
                    positions: BTreeSet::new(),
                    out: 0,
                    ready: None,
                });
                line.positions.insert(position);
            }
        }
        self.put(position, Place::Here);
    }

    /// The earliest message that may be delivered, which is handed out with this.
    pub(crate) fn next(&mut self) -> Option<P> {
        let position = self.ready.first().copied()?;
        self.put(position, Place::Out);
        Some(position)
    }

    /// A message went back to the broker, from where it arrives again; one that is unknown is no error.
    pub(crate) fn away(&mut self, position: P) {
        self.put(position, Place::Away);
    }

    /// A message was acknowledged or given up; one that is unknown is no error.
    pub(crate) fn settled(&mut self, position: P) {
        self.put(position, Place::Away);
        let Some(unsettled) = self.messages.remove(&position) else {
            return;
        };
        let Some(key) = unsettled.key else {
            return;
        };
        if let Some(line) = self.lines.get_mut(&key) {
            line.positions.remove(&position);
            if line.positions.is_empty() {
                self.lines.remove(&key);
            } else {
                self.advance(&key);
            }
        }
    }

    /// How many messages have arrived and are not settled, wherever they are.
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether [`next`](Self::next) has something.
    pub(crate) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Notes where a message is now.
    fn put(&mut self, position: P, place: Place) {
        let Some(unsettled) = self.messages.get_mut(&position) else {
            return;
        };
        let before = std::mem::replace(&mut unsettled.place, place);
        match unsettled.key.clone() {
            Some(key) => {
                if let Some(line) = self.lines.get_mut(&key) {
                    line.out += usize::from(place == Place::Out);
                    line.out -= usize::from(before == Place::Out);
                }
                self.advance(&key);
            }
            None if place == Place::Here => {
                self.ready.insert(position);
            }
            None => {
                self.ready.remove(&position);
            }
        }
    }

    /// Sees to it that a key's head is ready, if it may be handed out, and nothing else of the key.
    fn advance(&mut self, key: &str) {
        let Some(line) = self.lines.get_mut(key) else {
            return;
        };
        let head = line.positions.first().copied().filter(|head| {
            let is_here = |it: &Unsettled| it.place == Place::Here;
            line.out == 0 && self.messages.get(head).is_some_and(is_here)
        });
        if head != line.ready {
            if let Some(before) = std::mem::replace(&mut line.ready, head) {
                self.ready.remove(&before);
            }
            self.ready.extend(head);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does what a text says, word by word, and returns what was handed out: `a1` arrives with the key `a`, `_1` without
    /// one; `!1` is settled, `<1` goes away, `?` hands out what it can.
    fn run(words: &str) -> Vec<u64> {
        let mut order = KeyOrder::default();
        let mut handed_out = Vec::new();
        for word in words.split(' ') {
            let (what, number) = word.split_at(1);
            let position: u64 = number.parse().unwrap_or_default();
            match what {
                "?" => handed_out.extend(std::iter::from_fn(|| order.next())),
                "!" => order.settled(position),
                "<" => order.away(position),
                "_" => order.arrived(position, None),
                key => order.arrived(position, Some(key)),
            }
            let all: usize = order.lines.values().map(|line| line.positions.len()).sum();
            assert!(all <= order.len());
        }
        handed_out
    }

    #[test]
    fn only_the_first_of_a_key() {
        assert_eq!(run("a1 a2 b3 b4 _5 _6 ?"), [1, 3, 5, 6]);
        assert_eq!(run("a1 a2 b3 ? !1 ?"), [1, 3, 2]);
        assert_eq!(run("a1 a2 a3 ? !1 ? ? !2 ?"), [1, 2, 3]);
        assert_eq!(run("a1 a2 ? !1 a3 ? !2 ?"), [1, 2, 3]);
    }

    #[test]
    fn in_order_of_positions() {
        assert_eq!(run("a3 a1 a2 ? !1 ? !2 ?"), [1, 2, 3]);
        assert_eq!(run("a2 ? a1 ?"), [2], "one at a time");
        assert_eq!(run("a2 ? a1 !2 ?"), [2, 1]);
        assert_eq!(run("a2 a3 ? a1 <2 ? !1 ? a2 ?"), [2, 1, 2]);
    }

    #[test]
    fn away_holds_the_key() {
        assert_eq!(run("a1 a2 b3 ? <1 ? a1 ? !1 ?"), [1, 3, 1, 2]);
        assert_eq!(run("a1 a2 <1 ?"), [0; 0]);
        assert_eq!(run("_1 _2 <1 ? _1 ?"), [2, 1]);
        assert_eq!(run("a1 a2 ? <1 !1 ?"), [1, 2], "given up while away");
    }

    #[test]
    fn again() {
        assert_eq!(run("a1 a1 ? a1 ? !1 ? a1 ?"), [1, 1, 1]);
        assert_eq!(run("!1 <1 ?"), [0; 0]);
        assert_eq!(run("a1 a2 ? !2 !1 ?"), [1]);
    }

    #[test]
    fn nothing_remains() {
        let mut order = KeyOrder::default();
        for position in 0..100_u32 {
            order.arrived(position, Some(&format!("{}", position % 7)));
        }
        assert!(order.is_ready());
        let mut handed_out = 0;
        while let Some(position) = order.next() {
            order.settled(position);
            handed_out += 1;
        }
        assert_eq!((handed_out, order.len()), (100, 0));
        assert!(order.lines.is_empty() && !order.is_ready());
    }
}
