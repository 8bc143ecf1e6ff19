//! What only one process may do at a time, by rows that expire by the database's clock.

use std::time::Duration;

use sqlx::PgPool;

/// Takes or renews the leases of these names for `holder`, and returns those that it has now.
///
/// # Errors
///
/// Why they cannot be taken; which ones `holder` has is then not known.
pub async fn take(
    pool: &PgPool,
    names: &[String],
    holder: &str,
    time: Duration,
) -> Result<Vec<String>, sqlx::Error> {
    // In one order, so that two who take at once do not wait for each other.
    sqlx::query_scalar(
        "INSERT INTO underlay.lease AS mine (name, holder, expires_at) \
         SELECT name, $2, clock_timestamp() + make_interval(secs => $3) FROM unnest($1) AS name ORDER BY name \
         ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at \
         WHERE mine.holder = excluded.holder OR mine.expires_at < clock_timestamp() RETURNING name",
    )
    .bind(names)
    .bind(holder)
    .bind(time.as_secs_f64())
    .fetch_all(pool)
    .await
}

/// Gives back all leases of `holder`.
///
/// # Errors
///
/// Why they could not be given back; they expire.
pub async fn give_back(pool: &PgPool, holder: &str) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE underlay.lease SET expires_at = '-infinity' WHERE holder = $1")
        .bind(holder)
        .execute(pool)
        .await
        .map(drop)
}
