//! What sends the messages that wait in a database: in order for each key, at least once, and by one process at a time.
//!
//! Every instance of the application has a relay for each database with an outbox. They share the work by a lease for
//! each topic, so that instances with different topics, as while a new version is rolled out, do not wait for each other.
//! How rows and leases are kept is `underlay_backends`' business.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use underlay_backends::ErrorKind;
use underlay_backends::postgres::outbox::{self, Waiting};
use underlay_backends::postgres::{handled, lease};
use underlay_backends::topic::{OwnId, Topic};

use crate::Result;
use crate::consume::backoff;
use crate::database::Pools;

/// How long a relay has a topic for itself without saying that it is still there.
const LEASE: Duration = Duration::from_secs(10);
/// When it says so.
const RENEWAL: Duration = Duration::from_secs(5);
/// How long before the end of its lease a relay waits for no broker any more.
const MARGIN: Duration = Duration::from_secs(1);
/// How long a relay waits for word of a commit before it looks by itself, and looks whether another has gone.
const POLL: Duration = Duration::from_secs(3);
/// The same where the server cannot tell of a commit.
const POLL_POOLED: Duration = Duration::from_millis(500);
/// The wait after a failure, at first and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));
/// How often what has expired is removed.
const PURGE: Duration = Duration::from_secs(3600);
/// The lease of the one who removes it; no topic has such a name.
const UPKEEP: &str = "upkeep of all";

/// The relay of one database.
pub(crate) struct Relay {
    database: String,
    pools: Pools,
    topics: BTreeMap<String, Arc<dyn Topic>>,
    holder: String,
}

impl Relay {
    /// A relay to these topics, by their declared names.
    pub(crate) fn new(
        database: &str,
        pools: Pools,
        topics: BTreeMap<String, Arc<dyn Topic>>,
    ) -> Self {
        Self {
            database: database.to_owned(),
            pools,
            topics,
            holder: OwnId::fresh().to_string(),
        }
    }

    /// Sends everything that is due, for a test, which has the database for itself. Returns how many messages were sent.
    ///
    /// # Errors
    ///
    /// Why the rest could not be sent.
    pub(crate) async fn send_due(&self) -> Result<usize> {
        let pool = &self.pools.primary;
        let topics: Vec<String> = self.topics.keys().cloned().collect();
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut sent = 0;
        loop {
            let waiting = outbox::due(pool, &topics).await?;
            if waiting.is_empty() {
                return Ok(sent);
            }
            for (topic, waiting) in by_topic(waiting) {
                sent += self.send(pool, &topic, &waiting, deadline).await?;
            }
        }
    }

    /// Sends until `stop` turns true, then everything that is still due.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        // Of its own, so that it neither waits for the application's connections nor takes one away; and kept, because
        // the application may use up what the server has.
        let options = self.pools.primary.connect_options();
        let pool = PgPoolOptions::new()
            .max_connections(2)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(LEASE)
            .connect_lazy_with((*options).clone());
        let mut state = State::new(self);
        let mut failures = 0;
        loop {
            // A dropped sender means the same: nobody is left who would want more.
            let stopping = *stop.borrow() || stop.has_changed().is_err();
            let wait = match state.round(&pool).await {
                Ok(wait) => {
                    failures = 0;
                    wait
                }
                Err(error) => {
                    let delay = backoff(BACKOFF.0, BACKOFF.1, failures);
                    failures = failures.saturating_add(1);
                    // The lease may not be renewed, or another relay may have it meanwhile.
                    state.listener = None;
                    tracing::warn!(
                        target: "underlay",
                        database = state.relay.database,
                        error = crate::error::chain(&error),
                        "the outbox could not be read; trying again in {delay:?}",
                    );
                    delay
                }
            };
            if wait.is_zero() {
                continue;
            }
            if stopping {
                break;
            }
            tokio::select! {
                () = state.notified() => {}
                () = tokio::time::sleep(wait) => {}
                _ = stop.changed() => {}
            }
        }
        state.listener = None;
        if let Err(error) = lease::give_back(&pool, &state.relay.holder).await {
            let error = crate::error::chain(&error);
            tracing::debug!(target: "underlay", database = state.relay.database, error, "leases were not given back");
        }
        pool.close().await;
    }

    /// Sends messages of one topic, in their order; how many were sent, all others being set aside.
    async fn send(
        &self,
        pool: &PgPool,
        topic: &str,
        waiting: &[Waiting],
        deadline: Instant,
    ) -> Result<usize> {
        let Some(target) = self.topics.get(topic) else {
            return Ok(0);
        };
        let in_time = |outcome| match outcome {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Some(error)),
            Err(_) => Err(None),
        };
        let all = target.publish_batch(waiting.iter().map(|it| it.message.clone()).collect());
        let cause = match in_time(timeout_at(deadline, all).await) {
            Ok(()) => {
                let rows: Vec<i64> = waiting.iter().map(|it| it.row).collect();
                outbox::remove(pool, &rows).await?;
                return Ok(rows.len());
            }
            Err(cause) => cause,
        };
        if !cause.as_ref().is_some_and(is_final) {
            return Err(not_sent(cause));
        }
        // One of them can never be sent; each by itself shows which.
        let mut sent = 0;
        for it in waiting {
            let one = target.publish_batch(vec![it.message.clone()]);
            match in_time(timeout_at(deadline, one).await) {
                Ok(()) => {
                    outbox::remove(pool, &[it.row]).await?;
                    sent += 1;
                }
                Err(Some(error)) if is_final(&error) => {
                    let error = crate::error::chain(&error);
                    outbox::set_aside(pool, it.row, &error).await?;
                    tracing::error!(
                        target: "underlay",
                        database = self.database,
                        topic,
                        message_id = it.message.id.map(|it| it.to_string()),
                        row = it.row,
                        error,
                        "a message in the outbox can never be sent and was set aside; remove it from underlay.outbox, or \
                         set its `error` to NULL to have it sent again",
                    );
                }
                Err(cause) => return Err(not_sent(cause)),
            }
        }
        Ok(sent)
    }
}

/// What a relay that runs knows.
struct State {
    relay: Relay,
    /// What this process may do, and until when by this process's clock.
    held: BTreeSet<String>,
    held_until: Instant,
    renew_at: Instant,
    listener: Option<PgListener>,
    /// The topics whose broker has failed: how often, and when to try again.
    paused: BTreeMap<String, (u32, Instant)>,
    purge_at: Instant,
}

impl State {
    fn new(relay: Relay) -> Self {
        let now = Instant::now();
        Self {
            relay,
            held: BTreeSet::new(),
            held_until: now,
            renew_at: now,
            listener: None,
            paused: BTreeMap::new(),
            purge_at: now,
        }
    }

    /// Sends what is due now, up to a number; in how long to look again.
    async fn round(&mut self, pool: &PgPool) -> Result<Duration> {
        self.renew(pool).await?;
        if self.held.is_empty() {
            return Ok(POLL);
        }
        // Before looking: what is committed later is then heard of.
        self.listen(pool).await;
        self.upkeep(pool).await?;
        let now = Instant::now();
        self.paused.retain(|_, (_, until)| *until + BACKOFF.1 > now);
        let is_paused = |it: &String| self.paused.get(it).is_some_and(|(_, until)| *until > now);
        let topics: Vec<String> = self
            .relay
            .topics
            .keys()
            .filter(|it| self.held.contains(*it) && !is_paused(it))
            .cloned()
            .collect();
        // Before looking, too: what becomes due later is then waited for.
        let next_due = outbox::next_due(pool, &topics).await?;
        let waiting = outbox::due(pool, &topics).await?;
        if !waiting.is_empty() {
            for (topic, waiting) in by_topic(waiting) {
                self.renew(pool).await?;
                if self.held.contains(&topic) {
                    self.send(pool, &topic, &waiting).await;
                }
            }
            return Ok(Duration::ZERO);
        }
        let poll = if self.relay.pools.pooled {
            POLL_POOLED
        } else {
            POLL
        };
        let paused = self.paused.values().map(|(_, until)| *until - now);
        let paused = paused.filter(|it| !it.is_zero()).min();
        Ok([next_due, paused]
            .into_iter()
            .flatten()
            .fold(poll, Duration::min)
            .max(Duration::from_millis(1)))
    }

    /// Sends messages of one topic; after a failure the topic is left alone for a while.
    async fn send(&mut self, pool: &PgPool, topic: &str, waiting: &[Waiting]) {
        let deadline = self.held_until - MARGIN;
        match self.relay.send(pool, topic, waiting, deadline).await {
            Ok(sent) => {
                self.paused.remove(topic);
                tracing::debug!(target: "underlay", database = self.relay.database, topic, "relayed {sent} messages");
            }
            Err(error) => {
                let (failures, _) = self.paused.get(topic).copied().unwrap_or((0, deadline));
                let delay = backoff(BACKOFF.0, BACKOFF.1, failures);
                let paused = (failures.saturating_add(1), Instant::now() + delay);
                self.paused.insert(topic.to_owned(), paused);
                tracing::warn!(
                    target: "underlay",
                    database = self.relay.database,
                    topic,
                    error = error.chain(),
                    "messages in the outbox could not be sent; trying again in {delay:?}",
                );
            }
        }
    }

    /// Takes the leases that can be had, and renews those that are held, when it is time.
    async fn renew(&mut self, pool: &PgPool) -> Result<(), sqlx::Error> {
        let begin = Instant::now();
        if begin < self.renew_at {
            return Ok(());
        }
        let names: Vec<String> = self.relay.topics.keys().cloned().collect();
        let names = [names, vec![UPKEEP.to_owned()]].concat();
        let held = lease::take(pool, &names, &self.relay.holder, LEASE).await;
        self.held = held
            .as_ref()
            .map_or_else(|_| BTreeSet::new(), |held| held.iter().cloned().collect());
        held?;
        self.held_until = begin + LEASE;
        let all = self.held.len() == names.len();
        self.renew_at = begin + if all { RENEWAL } else { POLL };
        Ok(())
    }

    /// Removes what has expired, and tells of messages that nobody here can send, now and then.
    async fn upkeep(&mut self, pool: &PgPool) -> Result<(), sqlx::Error> {
        if !self.held.contains(UPKEEP) || Instant::now() < self.purge_at {
            return Ok(());
        }
        self.purge_at = Instant::now() + PURGE;
        while handled::purge(pool).await? {
            self.renew(pool).await?;
        }
        let own: Vec<String> = self.relay.topics.keys().cloned().collect();
        for (topic, count) in outbox::of_others(pool, &own).await? {
            tracing::warn!(
                target: "underlay",
                database = self.relay.database,
                topic,
                "{count} messages in the outbox are of a topic that this binary does not declare; one that does will send \
                 them; if there is none any more, remove them from underlay.outbox",
            );
        }
        Ok(())
    }

    /// Begins to listen for commits, where the server can tell of them; where it does not, looking now and then is left.
    async fn listen(&mut self, pool: &PgPool) {
        if self.listener.is_some() || self.relay.pools.pooled {
            return;
        }
        let listening = async {
            let mut listener = PgListener::connect_with(pool).await?;
            listener.listen(outbox::CHANNEL).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        match listening.await {
            Ok(listener) => self.listener = Some(listener),
            Err(error) => {
                let error = crate::error::chain(&error);
                tracing::debug!(target: "underlay", database = self.relay.database, error, "not told of commits");
            }
        }
    }

    /// Waits until something was committed, or the connection that would tell is gone.
    async fn notified(&mut self) {
        let Some(listener) = &mut self.listener else {
            return std::future::pending().await;
        };
        match listener.try_recv().await {
            // One look is for all of them.
            Ok(Some(_)) => while listener.next_buffered().is_some() {},
            // Reconnected; what was committed meanwhile was not told.
            Ok(None) => {}
            Err(_) => self.listener = None,
        }
    }
}

fn by_topic(waiting: Vec<Waiting>) -> BTreeMap<String, Vec<Waiting>> {
    let mut by_topic: BTreeMap<String, Vec<Waiting>> = BTreeMap::new();
    for it in waiting {
        by_topic.entry(it.topic.clone()).or_default().push(it);
    }
    by_topic
}

/// Whether a message can never be sent: it is not the broker's state that is wrong, but the message.
fn is_final(error: &underlay_backends::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::TooLarge | ErrorKind::InvalidArgument
    )
}

fn not_sent(cause: Option<underlay_backends::Error>) -> crate::Error {
    cause.map_or_else(
        || crate::Error::from("the broker did not answer in time"),
        crate::Error::from,
    )
}
