//! Messages that wait in a database: stored in a transaction, taken in the order in which they are to be sent, removed.
//!
//! It knows rows. Who sends them, to what, and what becomes of a failure is the relay's business, in `underlay`.

use std::time::Duration;

use sqlx::types::Json;
use sqlx::{FromRow, PgConnection, PgPool};

use crate::topic::{Message, OwnId};

/// What is notified when a message was committed.
pub const CHANNEL: &str = "underlay_outbox";
/// The most messages that are taken at once.
const MAX_MESSAGES: i64 = 100;
/// Together they are not much larger, unless a single one is.
const MAX_BYTES: i64 = 4 << 20;

/// A message that waits.
pub struct Waiting {
    /// Its place in the order.
    pub row: i64,
    /// The topic's declared name.
    pub topic: String,
    /// The message with its id, without its delay.
    pub message: Message,
}

/// Stores a message in the transaction of the connection.
///
/// Messages with an ordering key are stored one after the other: transactions that store for one key of a topic wait for
/// each other, so that the order of the rows is that of the commits.
///
/// # Errors
///
/// Why it could not be stored; the transaction can then only be rolled back.
pub async fn store(
    connection: &mut PgConnection,
    topic: &str,
    id: OwnId,
    message: &Message,
) -> Result<(), sqlx::Error> {
    if let Some(key) = &message.ordering_key {
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, hashtextextended($2, 0)))")
            .bind(topic)
            .bind(key)
            .execute(&mut *connection)
            .await?;
    }
    sqlx::query(
        "WITH stored AS (\
             INSERT INTO underlay.outbox (message_id, topic, ordering_key, attributes, body, due_at) \
             VALUES ($1, $2, $3, $4, $5, clock_timestamp() + make_interval(secs => $6)) RETURNING id\
         ) SELECT pg_notify($7, '') FROM stored",
    )
    .bind(id.to_string())
    .bind(topic)
    .bind(&message.ordering_key)
    .bind(Json(&message.attributes))
    .bind(&*message.body)
    .bind(message.delay.map(|it| it.as_secs_f64()))
    .bind(CHANNEL)
    .execute(connection)
    .await
    .map(drop)
}

#[derive(FromRow)]
struct Row {
    id: i64,
    topic: String,
    message_id: String,
    ordering_key: Option<String>,
    attributes: Json<std::collections::BTreeMap<String, String>>,
    body: Vec<u8>,
}

/// The first messages of these topics that are due, in order: no message of a key before an earlier one.
///
/// # Errors
///
/// Why they cannot be read.
pub async fn due(pool: &PgPool, topics: &[String]) -> Result<Vec<Waiting>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT o.id, o.topic, o.message_id, o.ordering_key, o.attributes, o.body FROM underlay.outbox AS o JOIN (\
             SELECT id, sum(octet_length(body)) OVER (ORDER BY id) - octet_length(body) AS before FROM (\
                 SELECT w.id, w.body FROM underlay.outbox AS w \
                 WHERE w.topic = ANY($1) AND w.error IS NULL AND (w.due_at IS NULL OR w.due_at <= clock_timestamp()) \
                 AND (w.ordering_key IS NULL OR NOT EXISTS (\
                     SELECT FROM underlay.outbox AS e \
                     WHERE e.topic = w.topic AND e.ordering_key = w.ordering_key AND e.id < w.id \
                     AND e.error IS NULL AND e.due_at > clock_timestamp()\
                 )) ORDER BY w.id LIMIT $2\
             ) AS head\
         ) AS sized ON sized.id = o.id WHERE sized.before < $3 ORDER BY o.id",
    )
    .bind(topics)
    .bind(MAX_MESSAGES)
    .bind(MAX_BYTES)
    .fetch_all(pool)
    .await?;
    let waiting = |row: Row| Waiting {
        row: row.id,
        topic: row.topic,
        message: Message {
            body: row.body.into(),
            attributes: row.attributes.0,
            ordering_key: row.ordering_key,
            delay: None,
            // The table takes no other.
            id: OwnId::parse(&row.message_id),
        },
    };
    Ok(rows.into_iter().map(waiting).collect())
}

/// In how long the next message of these topics is due that is not due yet.
///
/// # Errors
///
/// Why that cannot be read.
pub async fn next_due(pool: &PgPool, topics: &[String]) -> Result<Option<Duration>, sqlx::Error> {
    let seconds: Option<f64> = sqlx::query_scalar(
        "SELECT extract(epoch FROM min(due_at) - clock_timestamp())::float8 FROM underlay.outbox \
         WHERE topic = ANY($1) AND error IS NULL AND due_at > clock_timestamp()",
    )
    .bind(topics)
    .fetch_one(pool)
    .await?;
    // A row may become due while it is looked at.
    Ok(seconds.map(|it| Duration::try_from_secs_f64(it).unwrap_or_default()))
}

/// Removes messages that were sent.
///
/// # Errors
///
/// Why they are still there.
pub async fn remove(pool: &PgPool, rows: &[i64]) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM underlay.outbox WHERE id = ANY($1)")
        .bind(rows)
        .execute(pool)
        .await
        .map(drop)
}

/// Sets a message aside that can never be sent.
///
/// # Errors
///
/// Why it could not be marked.
pub async fn set_aside(pool: &PgPool, row: i64, error: &str) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE underlay.outbox SET error = $2 WHERE id = $1")
        .bind(row)
        .bind(error)
        .execute(pool)
        .await
        .map(drop)
}

/// The topics besides these that messages wait for, and how many.
///
/// # Errors
///
/// Why they cannot be counted.
pub async fn of_others(
    pool: &PgPool,
    topics: &[String],
) -> Result<Vec<(String, i64)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT topic, count(*) FROM underlay.outbox WHERE topic <> ALL($1) AND error IS NULL \
         GROUP BY topic ORDER BY topic",
    )
    .bind(topics)
    .fetch_all(pool)
    .await
}
