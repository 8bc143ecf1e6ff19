//! What the one receiver of an ordered subscription holds: messages by key and place in the stream, their leases and
//! delays, and what the server is to be told.
//!
//! Knows the time it is given, and no connection.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use async_nats::{Message, Subject};

use crate::{
    key_order::KeyOrder,
    nats::message::{self, Delivery, Position},
    topic::Received,
};

/// How many settled messages are remembered: a server that was killed may deliver the last ones again.
const REMEMBERED: usize = 10_000;

/// The messages of one session.
#[derive(Default)]
pub(super) struct Hold {
    order: KeyOrder<Position>,
    messages: HashMap<Position, Held>,
    settled: Settled,
    /// The number that the server's next delivery has, unless one went elsewhere or got lost.
    next_delivery: Option<u64>,
    /// Everything that the server has delivered and that is not settled is here.
    is_complete: bool,
}

struct Held {
    /// The last delivery, whose reply the server listens to.
    message: Message,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Waits for its turn.
    Here,
    /// Handed out.
    Leased { receipt: String, until: Instant },
    /// Given back, but not to the server yet.
    Delayed { until: Instant },
    /// With the server, which is to deliver it again.
    Away { since: Instant },
    /// The server is told that this is the end of it, and has not confirmed that.
    Settling {
        receipt: String,
        word: &'static str,
        since: Instant,
    },
}

/// The last settled messages.
#[derive(Default)]
pub(super) struct Settled {
    all: HashSet<Position>,
    order: VecDeque<Position>,
}

/// What a receipt is worth.
pub(super) enum Receipt {
    /// It is the current delivery's; the server is told at this subject.
    Current(Subject),
    /// The delivery has ended.
    Ended,
    /// The message is not here.
    Unknown,
}

/// What the server is to be told.
pub(super) type Word = (Subject, &'static str);

impl Hold {
    /// Nothing, but the memory of what was settled before.
    pub(super) fn new(settled: Settled) -> Self {
        Self {
            settled,
            ..Self::default()
        }
    }

    pub(super) fn into_settled(self) -> Settled {
        self.settled
    }

    /// Takes a delivery in; the answer is what the server is to be told.
    pub(super) fn arrived(&mut self, message: Message, subscription: &str) -> Option<Word> {
        let reply = message.reply.clone()?;
        let delivery = Delivery::parse(&reply)?;
        if self.next_delivery.is_some_and(|it| it != delivery.number) {
            self.is_complete = false;
        }
        self.next_delivery = Some(delivery.number + 1);
        let position = delivery.position();
        let headers = message.headers.as_ref();
        if self.settled.all.contains(&position) || !message::is_for(headers, subscription) {
            return Some((reply, "+ACK"));
        }
        let key = message::ordering_key(headers);
        match self.messages.get_mut(&position) {
            // Its lease or its delay goes on.
            Some(held) if !matches!(held.state, State::Here | State::Away { .. }) => {
                held.message = message;
            }
            _ => {
                self.order.arrived(position, key.as_deref());
                let state = State::Here;
                self.messages.insert(position, Held { message, state });
            }
        }
        None
    }

    /// Hands out what may be delivered.
    pub(super) fn take(&mut self, max: usize, lease: Duration, now: Instant) -> Vec<Received> {
        let mut taken = Vec::new();
        while self.is_complete && taken.len() < max {
            let Some(position) = self.order.next() else {
                break;
            };
            let Some(held) = self.messages.get_mut(&position) else {
                continue;
            };
            let Some(received) = message::received(&held.message) else {
                continue;
            };
            let receipt = received.receipt.0.clone();
            held.state = State::Leased {
                receipt,
                until: after(now, lease),
            };
            taken.push(received);
        }
        taken
    }

    /// What a receipt of a message is worth now.
    pub(super) fn receipt(&self, position: Position, receipt: &str) -> Receipt {
        let Some(held) = self.messages.get(&position) else {
            return match self.settled.all.contains(&position) {
                true => Receipt::Ended,
                false => Receipt::Unknown,
            };
        };
        let current = match &held.state {
            State::Leased { receipt, .. } | State::Settling { receipt, .. } => Some(receipt),
            _ => None,
        };
        match (current, &held.message.reply) {
            (Some(current), Some(reply)) if current == receipt => Receipt::Current(reply.clone()),
            _ => Receipt::Ended,
        }
    }

    /// The server is about to be told that this is the end of a message.
    pub(super) fn settling(&mut self, position: Position, word: &'static str, now: Instant) {
        if let Some(held) = self.messages.get_mut(&position)
            && let State::Leased { receipt, .. } = &held.state
        {
            held.state = State::Settling {
                receipt: receipt.clone(),
                word,
                since: now,
            };
        }
    }

    /// The server has confirmed the end of a message, or it is no longer in the stream.
    pub(super) fn settled(&mut self, position: Position) {
        self.order.settled(position);
        self.messages.remove(&position);
        if self.settled.all.insert(position) {
            self.settled.order.push_back(position);
            if self.settled.order.len() > REMEMBERED
                && let Some(oldest) = self.settled.order.pop_front()
            {
                self.settled.all.remove(&oldest);
            }
        }
    }

    /// Sets when a leased message's lease ends.
    pub(super) fn extend(&mut self, position: Position, lease: Duration, now: Instant) {
        if let Some(Held { state, .. }) = self.messages.get_mut(&position)
            && let State::Leased { until, .. } = state
        {
            *until = after(now, lease);
        }
    }

    /// Takes a leased message back, to go to the server after a delay.
    pub(super) fn delay(&mut self, position: Position, delay: Duration, now: Instant) {
        if let Some(Held { state, .. }) = self.messages.get_mut(&position)
            && matches!(state, State::Leased { .. })
        {
            *state = State::Delayed {
                until: after(now, delay),
            };
        }
    }

    /// When [`due`](Self::due) has something to say next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let due = self.messages.values().filter_map(|held| match held.state {
            State::Leased { until, .. } | State::Delayed { until } => Some(until),
            _ => None,
        });
        due.min()
    }

    /// The messages whose lease or delay has ended; they go back to the server, which counts their deliveries.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Word> {
        let mut words = Vec::new();
        for (position, held) in &mut self.messages {
            let is_due = match held.state {
                State::Leased { until, .. } | State::Delayed { until } => until <= now,
                _ => false,
            };
            if is_due {
                held.state = State::Away { since: now };
                self.order.away(*position);
                words.extend(held.message.reply.clone().map(|reply| (reply, "-NAK")));
            }
        }
        words
    }

    /// What keeps the server from delivering again what is here.
    pub(super) fn keep(&self) -> Vec<Word> {
        let here = self.messages.values().filter(|held| !held.is_away());
        here.filter_map(|held| Some((held.message.reply.clone()?, "+WPI")))
            .collect()
    }

    /// What gives everything back that is here.
    pub(super) fn give_back(&self) -> Vec<Word> {
        let here = self.messages.values().filter(|held| !held.is_away());
        here.filter_map(|held| match &held.state {
            State::Settling { word, .. } => Some((held.message.reply.clone()?, *word)),
            _ => Some((held.message.reply.clone()?, "-NAK")),
        })
        .collect()
    }

    /// The messages whose end the server did not confirm in time, and what it is to be told again.
    pub(super) fn unconfirmed(&self, before: Instant) -> Vec<(Position, Word)> {
        let unconfirmed = |(position, held): (&Position, &Held)| match held.state {
            State::Settling { word, since, .. } if since < before => {
                Some((*position, (held.message.reply.clone()?, word)))
            }
            _ => None,
        };
        self.messages.iter().filter_map(unconfirmed).collect()
    }

    /// The messages that the server did not deliver again in time, for which this time begins anew.
    pub(super) fn missing(&mut self, before: Instant, now: Instant) -> Vec<(Position, Word)> {
        let mut missing = Vec::new();
        for (position, held) in &mut self.messages {
            if let State::Away { since } = &mut held.state
                && *since < before
            {
                *since = now;
                let word = held.message.reply.clone().map(|reply| (reply, "-NAK"));
                missing.extend(word.map(|word| (*position, word)));
            }
        }
        missing
    }

    /// How many messages to ask for: so that the window is filled, and at least so many as are with the server.
    pub(super) fn wanted(&self, window: usize) -> usize {
        let away = self.messages.values().filter(|held| held.is_away()).count();
        let here = self.order.len() - away;
        window.saturating_sub(here).max(away)
    }

    /// How many of them the server certainly has as delivered and not settled, when it is asked from now on.
    pub(super) fn unsettled(&self) -> usize {
        let is_sure = |held: &&Held| !matches!(held.state, State::Settling { .. });
        self.messages.values().filter(is_sure).count()
    }

    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Everything is here that the server had delivered when it counted its deliveries.
    pub(super) fn complete(&mut self, deliveries: u64) {
        self.is_complete = true;
        self.next_delivery.get_or_insert(deliveries + 1);
    }

    pub(super) fn is_ready(&self) -> bool {
        self.is_complete && self.order.is_ready()
    }
}

impl Held {
    fn is_away(&self) -> bool {
        matches!(self.state, State::Away { .. })
    }
}

/// A time that is far enough away if it cannot be said.
fn after(now: Instant, time: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    now + time.min(YEAR)
}
