//! Given-up messages: a second queue, which is read by hiding its messages for a while and letting go of them.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::sync::Semaphore;

use crate::{
    Result,
    aws::{
        error::Failure,
        message::{self, Death, Head, Outgoing},
        queue::{BATCH, Delivery, Queue},
    },
    id,
    tasks::Tasks,
    topic::{DeadLetter, Message},
};

/// For how long letters are hidden while they are read. They are let go of when that is done.
const HIDDEN: Duration = Duration::from_secs(60);
/// For how long a request waits: without waiting, SQS asks some of its servers only, and may say that there is nothing.
const WAIT: Duration = Duration::from_secs(1);
/// How many letters are looked at. SQS does not say which are the oldest, so all are.
const MOST: usize = 10_000;

/// The dead letters of one subscription.
pub(super) struct DeadLetters {
    /// The subscription's queue, to which a released letter goes.
    pub(super) queue: Queue,
    /// The letters' queue.
    pub(super) letters: Queue,
    /// After how many deliveries SQS itself moves a message there.
    pub(super) max_receives: Option<u32>,
    pub(super) tasks: Arc<Tasks>,
    /// One reader of this process at a time: what one hides, another does not see.
    pub(super) reader: Semaphore,
}

/// Letters that are hidden. Dropped, it lets go of them.
struct Hidden<'a> {
    of: &'a DeadLetters,
    letters: Vec<Delivery>,
}

impl Hidden<'_> {
    async fn let_go(mut self) {
        let letters = std::mem::take(&mut self.letters);
        show(&self.of.letters, letters).await;
    }
}

impl Drop for Hidden<'_> {
    fn drop(&mut self) {
        let letters = std::mem::take(&mut self.letters);
        if !letters.is_empty() {
            let queue = self.of.letters.clone();
            self.of
                .tasks
                .spawn(async move { show(&queue, letters).await });
        }
    }
}

/// Lets others see letters again; what SQS does not hear they see when it is no longer hidden.
async fn show(queue: &Queue, letters: Vec<Delivery>) {
    let all: Vec<(&str, Duration)> = letters
        .iter()
        .map(|it| (&*it.receipt, Duration::ZERO))
        .collect();
    queue.hide_all(&all).await;
}

impl DeadLetters {
    /// Keeps a message with the reason. Done again within five minutes, a FIFO queue has it once.
    pub(super) async fn bury(
        &self,
        delivery: &Delivery,
        message: &Message,
        reason: &str,
    ) -> Result<()> {
        let head = Head {
            id: delivery.incoming.head.id.clone(),
            published: Some(delivery.published()),
            dead: Some(Death::new(delivery.attempt(), reason, SystemTime::now())),
            ..Head::default()
        };
        let outgoing = Outgoing::new(head, message);
        // A group of its own, so that all letters of a key can be seen.
        let sent = self
            .letters
            .send(outgoing, &delivery.sqs_id, &delivery.sqs_id);
        sent.await
            .map_err(|it| self.failed(it, "give a message up"))
    }

    /// The oldest `limit`, which stay.
    pub(super) async fn oldest(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        let _turn = self.reader.acquire().await;
        let mut hidden = self.hidden();
        while self.read_more(&mut hidden, "read dead letters").await? {}
        hidden.letters.sort_by_key(|it| it.sent);
        let oldest = hidden.letters.iter().take(limit);
        let oldest = oldest.map(|it| self.letter(it)).collect();
        hidden.let_go().await;
        Ok(oldest)
    }

    /// Delivers a letter to the subscription again; whether there was one.
    pub(super) async fn release(&self, id: &str) -> Result<bool> {
        self.end(id, true, "release a dead letter").await
    }

    /// Removes a letter; whether there was one.
    pub(super) async fn discard(&self, id: &str) -> Result<bool> {
        self.end(id, false, "discard a dead letter").await
    }

    async fn end(&self, id: &str, is_release: bool, attempted: &'static str) -> Result<bool> {
        let _turn = self.reader.acquire().await;
        let mut hidden = self.hidden();
        let found = loop {
            let found = hidden
                .letters
                .iter()
                .position(|it| it.incoming.head.id == id);
            match found {
                Some(index) => break Some(hidden.letters.swap_remove(index)),
                None if self.read_more(&mut hidden, attempted).await? => {}
                None => break None,
            }
        };
        let Some(letter) = found else {
            hidden.let_go().await;
            return Ok(false);
        };
        if is_release {
            let head = Head {
                id: id.to_owned(),
                published: Some(letter.published()),
                ..Head::default()
            };
            let message = &letter.incoming.message;
            let group = message.ordering_key.as_deref();
            let group =
                group.map_or_else(|| id::text(id::fresh(SystemTime::now())), message::group);
            // Released twice because the first time was not noticed, a FIFO queue has it once.
            let sent = self
                .queue
                .send(Outgoing::new(head, message), &group, &letter.sqs_id);
            sent.await.map_err(|it| self.queue.failed(it, attempted))?;
        }
        let deleted = self.letters.delete(&[&letter.receipt]).await;
        for outcome in deleted {
            outcome.map_err(|it| self.failed(it, attempted))?;
        }
        hidden.let_go().await;
        Ok(true)
    }

    fn hidden(&self) -> Hidden<'_> {
        Hidden {
            of: self,
            letters: Vec::new(),
        }
    }

    /// Hides some more letters; false when there are none, or enough.
    async fn read_more(&self, hidden: &mut Hidden<'_>, attempted: &'static str) -> Result<bool> {
        if hidden.letters.len() >= MOST {
            return Ok(false);
        }
        let more = self.letters.receive(BATCH, WAIT, HIDDEN).await;
        let more = more.map_err(|it| self.failed(it, attempted))?;
        let any = !more.is_empty();
        hidden.letters.extend(more);
        Ok(any)
    }

    fn letter(&self, delivery: &Delivery) -> DeadLetter {
        let head = &delivery.incoming.head;
        let message = delivery.incoming.message.clone();
        match &head.dead {
            Some(death) => DeadLetter {
                id: head.id.clone(),
                attempts: death.attempts,
                reason: death.reason.clone(),
                failed_at: message::time(death.at),
                message,
            },
            None => {
                // SQS counts on where it moves a message to, so a reader counts as well.
                let attempts = self.max_receives.unwrap_or(delivery.receives);
                DeadLetter {
                    id: head.id.clone(),
                    attempts,
                    reason: format!(
                        "SQS moved it here after {attempts} deliveries that nobody ended: each process that got it may have \
                         died"
                    ),
                    failed_at: message::time(delivery.sent),
                    message,
                }
            }
        }
    }

    fn failed(&self, failure: Failure, attempted: &'static str) -> crate::Error {
        self.letters.failed(failure, attempted)
    }
}
