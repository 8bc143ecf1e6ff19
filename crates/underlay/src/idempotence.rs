//! `idempotent_in`: what a handler does in a database happens once, however often its message is delivered.
//!
//! The transaction that the handler is lent also records the message, so both are kept or neither is. This file does not
//! know brokers: acknowledging, retrying and giving up are the loop's business (`consume.rs`).

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use tokio::sync::{Mutex, OwnedMappedMutexGuard, OwnedMutexGuard};
use underlay_backends::postgres::handled;
use underlay_model::{duration, model};

use crate::database::Pools;
use crate::subscription::{Delivery, HandlerError, HandlerFuture};
use crate::{Error, ErrorKind, Result};

/// How much longer than the broker keeps a message it is known that it was handled.
const MARGIN: Duration = Duration::from_secs(24 * 3600);

/// The record of what one subscription has handled.
pub(crate) struct Idempotence {
    pool: PgPool,
    topic: String,
    subscription: String,
    keep: Duration,
}

impl Idempotence {
    /// The record that a subscription has declared; `None` if it has not.
    ///
    /// # Errors
    ///
    /// The database, if it is not among those.
    pub(crate) fn new<'a>(
        subscription: &'a model::Subscription,
        pools: &BTreeMap<String, Pools>,
    ) -> Result<Option<Self>, &'a str> {
        let Some(database) = &subscription.idempotent_in else {
            return Ok(None);
        };
        let pools = pools.get(database).ok_or(database.as_str())?;
        // A retention that cannot be read is told of by the consumer, which reads the other options.
        let retention = duration::parse(&subscription.delivery.retention).unwrap_or_default();
        Ok(Some(Self {
            pool: pools.primary.clone(),
            topic: subscription.topic.clone(),
            subscription: subscription.name.clone(),
            keep: retention + MARGIN,
        }))
    }

    /// Calls the handler with a transaction unless the message was handled, and commits if it succeeds.
    ///
    /// Whoever drops what this returns, or catches its panic, rolls back: nobody else has the transaction.
    ///
    /// # Errors
    ///
    /// The handler's; or why the database did not begin, record or commit.
    pub(crate) async fn once(
        &self,
        delivery: Delivery,
        handle: impl FnOnce(Delivery) -> HandlerFuture,
    ) -> Result<(), HandlerError> {
        let (topic, name) = (&self.topic, &self.subscription);
        let mut transaction = self.pool.begin().await.map_err(Error::from)?;
        let id = delivery.id.as_str();
        let is_new = handled::record(&mut transaction, topic, name, id, self.keep)
            .await
            .map_err(Error::from)?;
        if !is_new {
            tracing::debug!(target: "underlay", "handled before; acknowledged without calling the handler");
            return Ok(());
        }
        let shared = Shared(Arc::new(Mutex::new(Some(transaction))));
        handle(Delivery {
            transaction: Some(shared.clone()),
            ..delivery
        })
        .await?;
        // Not waited for: who holds it now may never let go.
        let transaction = shared.0.try_lock().ok().and_then(|mut it| it.take());
        let transaction = transaction.ok_or_else(|| {
            Error::message(
                "the handler returned and something it began still holds `delivery.tx()`; nothing was committed",
            )
        })?;
        Ok(transaction.commit().await.map_err(Error::from)?)
    }
}

/// The transaction of a delivery, until the handler has returned.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<Option<Transaction<'static, Postgres>>>>);

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transaction")
    }
}

impl Delivery {
    /// The transaction in the database that the subscription is `idempotent_in`.
    ///
    /// What is done in it happens once, however often the message is delivered: it is committed, with a record of the
    /// message, when the handler returns `Ok`, and rolled back when it fails, panics or takes too long. A message that
    /// was handled is acknowledged without calling the handler again. Effects outside of that database are not covered;
    /// messages are, if they are published [in the transaction](crate::Topic::publish_in).
    ///
    /// Who asks while another part of the handler holds it waits until that part has dropped it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] without `idempotent_in`; an error after the handler has returned.
    ///
    /// # Example
    ///
    /// ```
    /// use underlay::prelude::*;
    /// # use underlay::sqlx;
    /// # #[derive(Message, Serialize, Deserialize)]
    /// # struct OrderPlaced { customer: i64 }
    /// # #[topic("order-placed")]
    /// # static ORDER_PLACED: Topic<OrderPlaced>;
    /// # #[derive(Message, Serialize, Deserialize)]
    /// # struct Thanked { customer: i64 }
    /// # #[topic("thanked")]
    /// # static THANKED: Topic<Thanked>;
    ///
    /// #[database("points")]
    /// static POINTS: Database;
    ///
    /// #[subscription(ORDER_PLACED, "count-points", idempotent_in = POINTS)]
    /// async fn count_points(event: OrderPlaced, delivery: &Delivery) -> underlay::Result<()> {
    ///     let mut tx = delivery.tx().await?;
    ///     sqlx::query("UPDATE customers SET points = points + 1 WHERE id = $1")
    ///         .bind(event.customer)
    ///         .execute(&mut *tx)
    ///         .await?;
    ///     THANKED.publish_in(&mut tx, &Thanked { customer: event.customer }).await?;
    ///     Ok(())
    /// }
    /// # fn main() {}
    /// ```
    pub async fn tx(&self) -> Result<DeliveryTx> {
        let Some(shared) = &self.transaction else {
            return Err(Error::new(
                ErrorKind::Configuration,
                "this delivery has no transaction: declare the database that it is of, \
                 `#[subscription(…, idempotent_in = ORDERS)]`",
            ));
        };
        let guard = Arc::clone(&shared.0).lock_owned().await;
        match OwnedMutexGuard::try_map(guard, Option::as_mut) {
            Ok(guard) => Ok(DeliveryTx(guard)),
            Err(_) => Err(Error::message(
                "the transaction of this delivery has ended: the handler has returned",
            )),
        }
    }
}

/// The transaction that [`Delivery::tx`] lends: `&mut *tx` is what queries run on. The loop ends it.
#[must_use = "queries run on it: `.execute(&mut *tx)`"]
pub struct DeliveryTx(
    OwnedMappedMutexGuard<Option<Transaction<'static, Postgres>>, Transaction<'static, Postgres>>,
);

impl Deref for DeliveryTx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for DeliveryTx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}
