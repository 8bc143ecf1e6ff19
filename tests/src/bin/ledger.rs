//! An application for the tests of migrations and of a database that fails: one database, and endpoints that write to
//! it, count, and hold a connection for as long as the test wants.

use underlay::axum::Json;
use underlay::axum::extract::Path;
use underlay::prelude::*;
use underlay::sqlx;

#[database("ledger", migrations = "migrations/ledger")]
static LEDGER: Database;

/// The same database by its name, as another crate has it that does not depend on this one.
#[database(named = "ledger")]
static BY_NAME: Database;

/// Writes an entry; whoever gets its id has an entry that is stored.
#[api(method = POST, path = "/entries/{text}", public)]
async fn write(Path(text): Path<String>) -> underlay::Result<Json<i64>> {
    let id = sqlx::query_scalar("INSERT INTO entries (text) VALUES ($1) RETURNING id")
        .bind(text)
        .fetch_one(&*LEDGER)
        .await?;
    Ok(Json(id))
}

#[api(method = GET, path = "/entries/count", public)]
async fn count() -> underlay::Result<Json<i64>> {
    let count = sqlx::query_scalar("SELECT count(*) FROM entries")
        .fetch_one(BY_NAME.read_replica()?)
        .await?;
    Ok(Json(count))
}

/// Holds a connection until the test gives the lock of this number away.
#[api(method = POST, path = "/hold/{lock}", public)]
async fn hold(Path(lock): Path<i64>) -> underlay::Result<()> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(lock)
        .execute(&*LEDGER)
        .await?;
    Ok(())
}

/// Writes half a megabyte of text that cannot be compressed.
#[api(method = POST, path = "/fill", public)]
async fn fill() -> underlay::Result<()> {
    sqlx::query(
        "INSERT INTO entries (text) \
         SELECT md5(random()::text) || md5(random()::text) FROM generate_series(1, 8000)",
    )
    .execute(&*LEDGER)
    .await?;
    Ok(())
}

/// The pool as the application sees it: open, idle and most connections.
#[api(method = GET, path = "/pool", public)]
async fn pool() -> underlay::Result<Json<[u32; 3]>> {
    let status = LEDGER.pool_status()?;
    Ok(Json([
        status.connections,
        status.idle,
        status.max_connections,
    ]))
}

#[underlay::seed]
async fn two_entries() -> underlay::Result<()> {
    sqlx::query("INSERT INTO entries (text) VALUES ('one'), ('two')")
        .execute(&*LEDGER)
        .await?;
    Ok(())
}

#[underlay::main]
async fn main() -> underlay::Result<()> {
    underlay::run().await
}
