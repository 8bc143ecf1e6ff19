//! Pulls of one consumer, so that a message which the server sends is never lost because the caller gave up.
//!
//! A pull is a request that the server answers with messages until it has expired. It runs in a task of its own, which
//! hands its messages to whoever waits, or gives them back to the server at once. Leases are not set here.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_nats::{Client, Message, StatusCode, connection::State as Connection};
use futures_util::StreamExt as _;
use serde_json::json;
use tokio::{sync::oneshot, time::timeout};

use crate::{
    Error, ErrorKind, Result,
    nats::{PROVIDER, error::Classified as _, message, streams},
    tasks::Tasks,
};

/// How long a request for messages waits at the server, unless leases are shorter.
const EXPIRES: Duration = Duration::from_secs(5);
/// How much later the server's word that it has expired may come.
const GRACE: Duration = Duration::from_secs(5);

/// Pulls of one consumer.
pub(super) struct Puller {
    /// `topic/subscription`, for errors.
    pub(super) resource: String,
    pub(super) client: Client,
    pub(super) consumer: streams::DurableConsumer,
    pub(super) tasks: Arc<Tasks>,
    pub(super) waiting: Mutex<Waiting>,
}

/// Who waits for a message, and how many pulls are on their way for them.
#[derive(Default)]
pub(super) struct Waiting {
    waiters: VecDeque<oneshot::Sender<Result<Vec<Message>>>>,
    pulls: usize,
}

type Answer = oneshot::Receiver<Result<Vec<Message>>>;

/// One that waits. Dropped before it has read its messages, it gives them back.
struct Waiter {
    puller: Arc<Puller>,
    receiver: Answer,
}

/// Messages that were not handed out yet. Dropped before that, it gives them back.
pub(super) struct Batch {
    puller: Arc<Puller>,
    pub(super) messages: Vec<Message>,
}

impl Batch {
    /// Hands the messages out.
    pub(super) fn take(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.messages)
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let messages = self.take();
        self.puller.give_back(messages);
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.receiver.close();
        if let Ok(Ok(messages)) = self.receiver.try_recv() {
            self.puller.give_back(messages);
        }
    }
}

impl Puller {
    /// Waits for at least one message, and returns at most `max`.
    pub(super) async fn receive(self: &Arc<Self>, max: usize) -> Result<Batch> {
        let mut messages = self.available(max).await?;
        if messages.is_empty() {
            messages = self.one().await?;
        }
        Ok(Batch {
            puller: Arc::clone(self),
            messages,
        })
    }

    /// At most `max` of the messages that can be delivered now; may be none.
    async fn available(self: &Arc<Self>, max: usize) -> Result<Vec<Message>> {
        let (sender, receiver) = oneshot::channel();
        let puller = Arc::clone(self);
        self.tasks.spawn(async move {
            let result = puller.pull(max, None).await;
            if let Err(Ok(messages)) = sender.send(result) {
                puller.give_back(messages);
            }
        });
        self.result(receiver).await
    }

    /// Waits for one message.
    async fn one(self: &Arc<Self>) -> Result<Vec<Message>> {
        let (sender, receiver) = oneshot::channel();
        let is_short = {
            let mut waiting = self.waiting();
            waiting.waiters.retain(|waiter| !waiter.is_closed());
            waiting.waiters.push_back(sender);
            let is_short = waiting.pulls < waiting.waiters.len();
            waiting.pulls += usize::from(is_short);
            is_short
        };
        if is_short {
            self.tasks.spawn(Arc::clone(self).pull_for_waiters());
        }
        self.result(receiver).await
    }

    /// What was waited for.
    async fn result(self: &Arc<Self>, receiver: Answer) -> Result<Vec<Message>> {
        let mut waiter = Waiter {
            puller: Arc::clone(self),
            receiver,
        };
        let closed = || {
            self.error(
                ErrorKind::Unavailable,
                "receive messages: the broker is closed",
            )
        };
        tokio::select! {
            result = &mut waiter.receiver => result.unwrap_or_else(|_| Err(closed())),
            () = self.tasks.closed() => Err(closed()),
        }
    }

    /// Pulls as long as there are waiters without a pull.
    async fn pull_for_waiters(self: Arc<Self>) {
        let expires = EXPIRES.min(self.consumer.ack_wait / 2);
        loop {
            {
                let mut waiting = self.waiting();
                waiting.waiters.retain(|waiter| !waiter.is_closed());
                if waiting.pulls > waiting.waiters.len() {
                    waiting.pulls -= 1;
                    return;
                }
            }
            match self.pull(1, Some(expires)).await {
                Ok(messages) if messages.is_empty() => {}
                result => self.hand_over(result),
            }
        }
    }

    /// Gives a result to the first that still waits; without one, messages go back.
    fn hand_over(&self, mut result: Result<Vec<Message>>) {
        loop {
            let Some(waiter) = self.waiting().waiters.pop_front() else {
                if let Ok(messages) = result {
                    self.give_back(messages);
                }
                return;
            };
            match waiter.send(result) {
                Ok(()) => return,
                Err(refused) => result = refused,
            }
        }
    }

    /// One request: at most `max` messages, waiting for `expires` or not at all.
    async fn pull(&self, max: usize, expires: Option<Duration>) -> Result<Vec<Message>> {
        let inbox = self.client.new_inbox();
        let failed = |error| self.failed("receive messages", error);
        let mut answers = self.client.subscribe(inbox.clone()).await;
        let answers = answers.as_mut().map_err(|_| {
            let text = "receive messages: the connection is closed";
            self.error(ErrorKind::Unavailable, text)
        })?;
        let request = match expires {
            Some(expires) => json!({ "batch": max, "expires": message::nanos(expires) }),
            None => json!({ "batch": max, "no_wait": true }),
        };
        self.client
            .publish_with_reply(
                self.consumer.next_subject(),
                inbox,
                request.to_string().into(),
            )
            .await
            .map_err(failed)?;
        let mut messages = Vec::new();
        while messages.len() < max {
            let limit = expires.unwrap_or_default() + GRACE;
            let answer = tokio::select! {
                answer = timeout(limit, answers.next()) => answer,
                () = self.tasks.closed() => Ok(None),
            };
            match answer {
                Ok(Some(message)) => match message.status {
                    None => messages.push(message),
                    // An answer that ends the request, after which nothing comes.
                    Some(StatusCode::NOT_FOUND | StatusCode::TIMEOUT) => break,
                    Some(StatusCode::IDLE_HEARTBEAT) => {}
                    Some(status) => {
                        self.ended(&messages, status, message.description.as_deref())
                            .await?;
                        break;
                    }
                },
                // The broker is closed, or the connection.
                Ok(None) => break,
                // The server forgot the request: it was restarted, or the consumer is gone.
                Err(_) if messages.is_empty() => {
                    if self.client.connection_state() != Connection::Connected {
                        let text = "receive messages: the connection is lost";
                        return Err(self.error(ErrorKind::Unavailable, text));
                    }
                    self.consumer.check(&self.resource).await?;
                    break;
                }
                Err(_) => break,
            }
        }
        if self.tasks.is_closed() {
            self.give_back(std::mem::take(&mut messages));
        }
        Ok(messages)
    }

    /// What it means that the server ended a request before its time.
    async fn ended(
        &self,
        messages: &[Message],
        status: StatusCode,
        description: Option<&str>,
    ) -> Result<()> {
        if !messages.is_empty() {
            // The next pull will say it again.
            return Ok(());
        }
        self.consumer.check(&self.resource).await?;
        let description = description.unwrap_or_default();
        let kind = match status {
            StatusCode::NO_RESPONDERS => ErrorKind::Unavailable,
            // The server goes down, or another one of its cluster takes the consumer over.
            _ if description.contains("Shutdown") || description.contains("Leader") => {
                ErrorKind::Unavailable
            }
            _ => ErrorKind::Other,
        };
        let text =
            format!("receive messages: the server ended the request: {status} {description}");
        Err(self.error(kind, text))
    }

    /// Gives messages back that nobody has seen, to be delivered again at once.
    fn give_back(&self, messages: Vec<Message>) {
        if messages.is_empty() {
            return;
        }
        let client = self.client.clone();
        let give_back = async move {
            for reply in messages.into_iter().filter_map(|message| message.reply) {
                // What the server does not hear comes again when its lease ends.
                let _ = client.publish(reply, "-NAK".into()).await;
            }
            let _ = timeout(GRACE, client.flush()).await;
        };
        self.tasks.spawn(give_back);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, kind: ErrorKind, text: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        Error::new(kind, PROVIDER, &self.resource, text)
    }

    fn failed(&self, attempted: &str, error: async_nats::PublishError) -> Error {
        let text = format!("{attempted}: the request could not be sent");
        self.error(error.class(), text).with_source(error)
    }
}
