//! Which messages a subscription has handled, recorded in the transaction of their effects.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};

/// How many rows are removed at once.
const BATCH: u32 = 1000;

/// Records a message in the transaction of the connection; false if it is recorded already. While another transaction
/// has recorded it and not ended, this waits.
///
/// # Errors
///
/// Why it could not be recorded.
pub async fn record(
    connection: &mut PgConnection,
    topic: &str,
    subscription: &str,
    message_id: &str,
    keep: Duration,
) -> Result<bool, sqlx::Error> {
    sqlx::query(
        "INSERT INTO underlay.handled (topic, subscription, message_id, expires_at) \
         VALUES ($1, $2, $3, clock_timestamp() + make_interval(secs => $4)) ON CONFLICT DO NOTHING",
    )
    .bind(topic)
    .bind(subscription)
    .bind(message_id)
    .bind(keep.as_secs_f64())
    .execute(connection)
    .await
    .map(|done| done.rows_affected() == 1)
}

/// Removes some of what has expired; whether there may be more.
///
/// # Errors
///
/// Why it could not be removed.
pub async fn purge(pool: &PgPool) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "DELETE FROM underlay.handled WHERE ctid = ANY(ARRAY(\
             SELECT ctid FROM underlay.handled WHERE expires_at < clock_timestamp() LIMIT $1))",
    )
    .bind(i64::from(BATCH))
    .execute(pool)
    .await?;
    Ok(done.rows_affected() == u64::from(BATCH))
}
