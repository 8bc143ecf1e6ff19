//! The task that receives an ordered subscription: claims to be the only receiver, pulls, keeps what it holds from being
//! delivered again, and brings everything back to the server when it ends.

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use async_nats::{Message, StatusCode, Subscriber};
use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::{
    Error, ErrorKind, Result,
    nats::{
        PROVIDER,
        claim::Claim,
        error::Classified as _,
        message,
        ordered::{
            Line, Shared,
            hold::{Hold, Word},
        },
    },
};

/// How many messages are held at most, of which all but the first of each key wait. A retried message may bring one more.
pub(super) const WINDOW: usize = 1000;
/// How many messages are asked for at once.
const BATCH: usize = 200;
/// How long a request for messages waits at the server.
const EXPIRES: Duration = Duration::from_secs(2);
/// How much later the server's word that it has expired may come.
const GRACE: Duration = Duration::from_secs(2);
/// How often it is checked whether everything is here, while it is not.
const RECHECK: Duration = Duration::from_millis(200);
/// How long to wait, at most, before it is tried again to become the receiver.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// How long a failed session waits before the next one.
const RETRY: Duration = Duration::from_millis(500);
/// How long an answer to an acknowledgement is waited for, before it is sent again.
const CONFIRM: Duration = Duration::from_secs(5);

/// Why a session ended.
enum End {
    /// Nobody wants to receive any more.
    Stopped,
    /// The claim was not renewed in time.
    Lost,
}

/// What a session does when.
struct Timetable {
    renew: Instant,
    keep: Instant,
    check: Instant,
    ask: Instant,
}

/// A request for messages that waits at the server.
struct Request {
    number: u64,
    remaining: usize,
    ends: Instant,
}

/// Receives until nobody wants to any more.
pub(super) async fn run(line: Arc<Line>) {
    while !line.is_stopped() {
        if let Err(error) = session(&line).await {
            line.fail(error);
            line.stopped_or(RETRY).await;
        }
    }
}

async fn session(line: &Line) -> Result<()> {
    let mut claim = loop {
        if line.is_stopped() {
            return Ok(());
        }
        if let Some(claim) = line.claims.take().await? {
            break claim;
        }
        line.stopped_or((line.claims.time / 10).min(ASK_AGAIN))
            .await;
    };
    let inbox = line.client.new_inbox();
    let answers = line.client.subscribe(format!("{inbox}.*")).await;
    let mut answers = answers.map_err(|_| {
        let text = "receive messages: the connection is closed";
        line.error(ErrorKind::Unavailable, text)
    })?;
    line.shared().begin(claim.until);
    let ended = serve(line, &mut claim, &inbox, &mut answers).await;
    let given_back = line.shared().end();
    if !matches!(ended, Ok(End::Lost)) {
        // First, or the server would deliver here what is given back.
        let _ = answers.unsubscribe().await;
        say(line, given_back).await;
        while let Some(Some(message)) = answers.next().now_or_never() {
            say(line, message.reply.map(|reply| (reply, "-NAK"))).await;
        }
        // The next receiver is to find everything given back.
        let _ = timeout(GRACE, line.client.flush()).await;
        line.claims.give_up(claim).await;
    }
    ended.map(drop)
}

async fn serve(
    line: &Line,
    claim: &mut Claim,
    inbox: &str,
    answers: &mut Subscriber,
) -> Result<End> {
    let (mut request, mut number): (Option<Request>, u64) = (None, 0);
    let now = Instant::now();
    let mut next = Timetable {
        renew: now + line.claims.time / 4,
        keep: now + line.consumer.ack_wait / 3,
        check: now,
        ask: now,
    };
    // Since when messages are missing, and how many.
    let mut missing: Option<(Instant, usize)> = None;
    loop {
        let now = Instant::now();
        if line.is_stopped() {
            return Ok(End::Stopped);
        }
        if now >= claim.until {
            return Ok(End::Lost);
        }
        if now >= next.renew {
            match line.claims.renew(claim).await {
                Ok(Some(renewed)) => {
                    *claim = renewed;
                    line.shared().valid_until = claim.until;
                    next.renew = Instant::now() + line.claims.time / 4;
                }
                Ok(None) => return Ok(End::Lost),
                // It holds for a while, and whoever claims next learns what is wrong.
                Err(_) => next.renew = Instant::now() + RECHECK,
            }
        }
        let due = line.with(Vec::new(), |hold| hold.due(now));
        say(line, due).await;
        if now >= next.keep {
            next.keep = now + line.consumer.ack_wait / 3;
            keep(line, now).await;
        }
        if now >= next.check && !line.with(true, |hold| hold.is_complete()) {
            let since = missing.map_or(now, |(since, _)| since);
            let found =
                while_claimed(check(line).await)?.unwrap_or(missing.map(|(_, count)| count));
            missing = found.map(|count| (since, count));
            next.check = Instant::now() + RECHECK;
        }
        if request.as_ref().is_some_and(|it| now >= it.ends) {
            // The server forgot the request: it was restarted, or the consumer is gone.
            request = None;
            while_claimed(line.consumer.check(&line.resource).await)?;
        }
        if request.is_none() && now >= next.ask {
            number += 1;
            // Those that are missing come before new ones when their leases have ended, which they have by then.
            let overdue = missing.filter(|(since, _)| now > *since + line.consumer.ack_wait);
            let at_least = overdue.map_or(0, |(_, count)| count);
            request = ask(line, &format!("{inbox}.{number}"), number, at_least).await?;
        }
        let wake = {
            let mut shared = line.shared();
            let is_complete = shared.hold.as_ref().is_none_or(Hold::is_complete);
            let times = [
                Some(claim.until),
                Some(next.renew),
                Some(next.keep),
                (!is_complete).then_some(next.check),
                Some(request.as_ref().map_or(next.ask, |request| request.ends))
                    .filter(|time| *time > now),
                shared.hold.as_ref().and_then(Hold::next_due),
            ];
            let wake = times.into_iter().flatten().min().unwrap_or(claim.until);
            shared.wakes = wake;
            wake
        };
        tokio::select! {
            () = line.tasks.closed() => return Ok(End::Stopped),
            () = line.poke.notified() => {}
            () = sleep(wake.saturating_duration_since(Instant::now())) => {}
            answer = answers.next() => {
                let Some(answer) = answer else {
                    let text = "receive messages: the connection is closed";
                    return Err(line.error(ErrorKind::Unavailable, text));
                };
                if take_in(line, answer, answers, &mut request).await? == Answers::Refused {
                    next.ask = Instant::now() + RETRY;
                }
            }
        }
    }
}

/// A failure that may pass while this is the receiver is none: `None`.
fn while_claimed<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Err(error) if error.is_retryable() => Ok(None),
        result => result.map(Some),
    }
}

/// What came of answers.
#[derive(PartialEq)]
enum Answers {
    Taken,
    /// The server does not answer requests for now.
    Refused,
}

/// Takes in an answer, and those that have come as well.
async fn take_in(
    line: &Line,
    answer: Message,
    answers: &mut Subscriber,
    request: &mut Option<Request>,
) -> Result<Answers> {
    let mut answer = Some(answer);
    let (mut words, mut result) = (Vec::new(), Answers::Taken);
    while let Some(message) = answer {
        match message.status {
            None => {
                let current = request.take();
                *request = current.and_then(Request::answered);
                words.extend(line.with(None, |hold| hold.arrived(message, &line.consumer.name)));
            }
            Some(StatusCode::IDLE_HEARTBEAT) => {}
            Some(status) => {
                let number = message.subject.rsplit('.').next();
                let is_current = |it: &Request| number == Some(&*it.number.to_string());
                if request.as_ref().is_some_and(is_current) {
                    *request = None;
                }
                if status != StatusCode::NOT_FOUND && status != StatusCode::TIMEOUT {
                    // The consumer is gone; or the server goes down, or another one takes over.
                    while_claimed(line.consumer.check(&line.resource).await)?;
                    result = Answers::Refused;
                }
            }
        }
        answer = answers.next().now_or_never().flatten();
    }
    say(line, words).await;
    line.notify();
    Ok(result)
}

impl Request {
    /// What of it waits when a message came.
    fn answered(self) -> Option<Self> {
        let remaining = self.remaining.checked_sub(1).filter(|rest| *rest > 0)?;
        Some(Self { remaining, ..self })
    }
}

/// Asks for messages, if there is room.
async fn ask(line: &Line, inbox: &str, number: u64, at_least: usize) -> Result<Option<Request>> {
    let wanted = line.with(0, |hold| hold.wanted(WINDOW));
    let batch = wanted.max(at_least).min(BATCH);
    if batch == 0 {
        return Ok(None);
    }
    let request = json!({ "batch": batch, "expires": message::nanos(EXPIRES) });
    let sent = line.client.publish_with_reply(
        line.consumer.next_subject(),
        inbox.to_owned(),
        request.to_string().into(),
    );
    sent.await.map_err(|error| {
        let text = "receive messages: the request could not be sent";
        line.error(error.class(), text).with_source(error)
    })?;
    Ok(Some(Request {
        number,
        remaining: batch,
        ends: Instant::now() + EXPIRES + GRACE,
    }))
}

/// Finds out whether everything is here that the server has delivered and that is not settled: only then the first
/// message of a key is known to be the first. Returns how many messages are missing.
async fn check(line: &Line) -> Result<Option<usize>> {
    let here = line.with(0, |hold| hold.unsettled());
    let info = line.consumer.info(&line.resource).await?;
    if let Some(missing @ 1..) = info.num_ack_pending.checked_sub(here) {
        return Ok(Some(missing));
    }
    let deliveries = info.delivered.consumer_sequence;
    line.with((), |hold| hold.complete(deliveries));
    line.notify();
    Ok(None)
}

/// Keeps the server from delivering what is here, and sees to what it did not confirm.
async fn keep(line: &Line, now: Instant) {
    say(line, line.with(Vec::new(), |hold| hold.keep())).await;
    let Some(before) = now.checked_sub(CONFIRM) else {
        return;
    };
    for (position, (reply, word)) in line.with(Vec::new(), |hold| hold.unconfirmed(before)) {
        if line.tell(&reply, word, "acknowledge").await.is_err() {
            break;
        }
        line.settled(position);
    }
    let Some(before) = now.checked_sub(line.consumer.ack_wait * 2) else {
        return;
    };
    for (position, word) in line.with(Vec::new(), |hold| hold.missing(before, now)) {
        let stored = line.consumer.messages.get_raw_message(position.sequence);
        match stored.await {
            Err(error) if error.class() == ErrorKind::NotFound => line.settled(position),
            _ => say(line, [word]).await,
        }
    }
}

/// Tells the server something about deliveries. What it does not hear comes again when its lease ends.
async fn say(line: &Line, words: impl IntoIterator<Item = Word>) {
    for (reply, word) in words {
        let _ = line.client.publish(reply, word.into()).await;
    }
}

impl Shared {
    fn begin(&mut self, until: Instant) {
        self.hold = Some(Hold::new(std::mem::take(&mut self.settled)));
        self.valid_until = until;
    }

    /// Ends the session; what gives back what it holds.
    fn end(&mut self) -> Vec<Word> {
        let Some(hold) = self.hold.take() else {
            return Vec::new();
        };
        let words = hold.give_back();
        self.settled = hold.into_settled();
        words
    }
}

impl Line {
    pub(super) fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with what is held; without a session, nothing.
    fn with<T>(&self, otherwise: T, action: impl FnOnce(&mut Hold) -> T) -> T {
        self.shared().hold.as_mut().map_or(otherwise, action)
    }

    /// Lets those that wait see what can be handed out.
    fn notify(&self) {
        if self.with(false, |hold| hold.is_ready()) {
            self.changed.notify_waiters();
        }
    }

    pub(super) fn settled(&self, position: message::Position) {
        self.with((), |hold| hold.settled(position));
        self.notify();
        // There is room for another one.
        self.poke.notify_one();
    }

    fn fail(&self, error: Error) {
        {
            let mut shared = self.shared();
            shared.failures += 1;
            shared.failure = Some(Arc::new(error));
        }
        self.changed.notify_waiters();
    }

    fn is_stopped(&self) -> bool {
        self.tasks.is_closed() || self.shared().is_stopped
    }

    async fn stopped_or(&self, time: Duration) {
        tokio::select! {
            () = self.tasks.closed() => {}
            () = self.poke.notified() => {}
            () = sleep(time) => {}
        }
    }

    pub(super) fn error(
        &self,
        kind: ErrorKind,
        text: impl Into<std::borrow::Cow<'static, str>>,
    ) -> Error {
        Error::new(kind, PROVIDER, &self.resource, text)
    }
}
