//! The transactional outbox: publishing in a database's transaction, so that a message is sent if and only if the
//! transaction commits.
//!
//! Sending what was stored is the relay's business (`outbox/relay.rs`); the rows are `underlay_backends`'.

mod relay;

use sqlx::PgConnection;
use underlay_backends::postgres::outbox;
use underlay_backends::topic::OwnId;

pub(crate) use self::relay::Relay;
use crate::reference::{Grants, Publisher, TopicRef};
use crate::topic::{Message, MessageId, PublishOptions, Topic};
use crate::{Error, ErrorKind, Result};

impl<T: Message> Topic<T> {
    /// Publishes a message in the transaction of a database: it is sent after the commit, and not at all without one.
    ///
    /// The message is stored in the database and relayed to the broker soon after the commit, at least once, and in the
    /// order of the commits for each ordering key; transactions that publish under one key of an ordered topic wait for
    /// each other. Nothing is lost if the process dies in between. The returned id is the one that handlers see.
    ///
    /// `tx` is an [`sqlx::Transaction`], a [`Tx`](crate::Tx) or a [`DeliveryTx`](crate::DeliveryTx) of a database that
    /// is declared with `outbox`, or that a subscription is `idempotent_in`. On a connection without a transaction the
    /// message is committed when this returns.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish) before anything is stored; [`ErrorKind::Configuration`] when the database has no
    /// outbox; otherwise why the database did not store it. After the latter two the transaction can only be rolled back.
    ///
    /// # Example
    ///
    /// ```
    /// use underlay::prelude::*;
    /// # use underlay::sqlx;
    ///
    /// #[derive(Message, Serialize, Deserialize)]
    /// struct OrderPlaced {
    ///     order_id: i64,
    /// }
    ///
    /// #[topic("order-placed")]
    /// static ORDER_PLACED: Topic<OrderPlaced>;
    ///
    /// #[database("orders", outbox)]
    /// static ORDERS: Database;
    ///
    /// async fn place(sku: &str) -> underlay::Result<i64> {
    ///     let mut tx = ORDERS.begin().await?;
    ///     let order_id = sqlx::query_scalar("INSERT INTO orders (sku) VALUES ($1) RETURNING id")
    ///         .bind(sku)
    ///         .fetch_one(&mut *tx)
    ///         .await?;
    ///     ORDER_PLACED.publish_in(&mut tx, &OrderPlaced { order_id }).await?;
    ///     tx.commit().await?;
    ///     Ok(order_id)
    /// }
    /// # fn main() {}
    /// ```
    pub async fn publish_in(&self, tx: &mut PgConnection, message: &T) -> Result<MessageId> {
        let options = PublishOptions::default();
        self.publish_in_with(tx, message, options).await
    }

    /// Publishes a message in a transaction, later or under another ordering key. The delay begins now, and works with
    /// every broker: the message waits in the database.
    ///
    /// # Errors
    ///
    /// As [`publish_in`](Self::publish_in); [`ErrorKind::InvalidArgument`] for an ordering key on a topic that is not
    /// ordered.
    pub async fn publish_in_with(
        &self,
        tx: &mut PgConnection,
        message: &T,
        options: PublishOptions,
    ) -> Result<MessageId> {
        let encoded = self.encode(message, options)?;
        self.check_size(&encoded)?;
        let id = OwnId::fresh();
        outbox::store(tx, self.name(), id, &encoded)
            .await
            .map_err(|error| not_stored(self.name(), error))?;
        Ok(MessageId::new(id.to_string()))
    }
}

impl<T: Message, P> TopicRef<T, P> {
    /// Publishes a message in a transaction; see [`Topic::publish_in`].
    ///
    /// # Errors
    ///
    /// As [`Topic::publish_in`].
    pub async fn publish_in<I>(&self, tx: &mut PgConnection, message: &T) -> Result<MessageId>
    where
        P: Grants<Publisher, I>,
    {
        (self.target)().publish_in(tx, message).await
    }

    /// Publishes a message in a transaction, later or under another ordering key; see [`Topic::publish_in_with`].
    ///
    /// # Errors
    ///
    /// As [`Topic::publish_in_with`].
    pub async fn publish_in_with<I>(
        &self,
        tx: &mut PgConnection,
        message: &T,
        options: PublishOptions,
    ) -> Result<MessageId>
    where
        P: Grants<Publisher, I>,
    {
        (self.target)().publish_in_with(tx, message, options).await
    }
}

fn not_stored(topic: &str, error: sqlx::Error) -> Error {
    let code = error.as_database_error().and_then(|it| it.code());
    // undefined_table, invalid_schema_name, insufficient_privilege
    if !matches!(code.as_deref(), Some("42P01" | "3F000" | "42501")) {
        return error.into();
    }
    let text = format!(
        "a message of topic `{topic}` was published in a database without an outbox: declare it \
         `#[database(\"orders\", outbox)]`"
    );
    Error::new(ErrorKind::Configuration, text).with_source(error)
}
