//! Transactions through a handle: isolation, reading only, and being run again when the server ends one for another's
//! sake. The server of the test cluster comes from the ladder.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicU32, Ordering};

use underlay::prelude::*;
use underlay::{Isolation, TransactionOptions, sqlx};

#[database("notes", migrations = "fixtures/notes")]
static NOTES: Database;

#[database(named = "notes")]
static SAME_NOTES: Database;

async fn write(text: &str) {
    sqlx::query("INSERT INTO notes (text) VALUES ($1)")
        .bind(text)
        .execute(&*NOTES)
        .await
        .unwrap();
}

async fn count(pool: &sqlx::PgPool) -> i64 {
    let count = sqlx::query_scalar("SELECT count(*) FROM notes");
    count.fetch_one(pool).await.unwrap()
}

#[underlay::test]
async fn a_transaction_that_collides_is_run_again() {
    write("first").await;
    let attempts = AtomicU32::new(0);
    let attempts = &attempts;
    let seen: i64 = NOTES
        .transaction(Isolation::Serializable, |mut tx| async move {
            let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM notes")
                .fetch_one(&mut *tx)
                .await?;
            if attempts.fetch_add(1, Ordering::Relaxed) < 2 {
                // Another one reads the same, writes what this one has read, and commits first.
                let mut other = NOTES.begin_with(Isolation::Serializable).await?;
                let counted: i64 = sqlx::query_scalar("SELECT count(*) FROM notes")
                    .fetch_one(&mut *other)
                    .await?;
                sqlx::query("INSERT INTO notes (text) VALUES ('other ' || $1)")
                    .bind(counted)
                    .execute(&mut *other)
                    .await?;
                other.commit().await?;
            }
            sqlx::query("INSERT INTO notes (text) VALUES ('ours')")
                .execute(&mut *tx)
                .await?;
            Ok::<_, underlay::Error>(seen)
        })
        .await
        .unwrap();
    assert_eq!(attempts.load(Ordering::Relaxed), 3);
    assert_eq!(seen, 3, "the last attempt saw what the others have written");
    assert_eq!(count(&NOTES).await, 4, "ours is there once");
}

#[underlay::test]
async fn what_the_body_refuses_is_taken_back_and_told() {
    let attempts = AtomicU32::new(0);
    let attempts = &attempts;
    let refused = NOTES
        .transaction(TransactionOptions::default(), |mut tx| async move {
            attempts.fetch_add(1, Ordering::Relaxed);
            sqlx::query("INSERT INTO notes (text) VALUES ('gone')")
                .execute(&mut *tx)
                .await?;
            Err::<(), _>(underlay::Error::message("no"))
        })
        .await;
    assert_eq!(refused.unwrap_err().to_string(), "no");
    assert_eq!(
        attempts.load(Ordering::Relaxed),
        1,
        "only collisions are tried again"
    );
    assert_eq!(count(&NOTES).await, 0);
}

#[underlay::test]
async fn a_transaction_that_outlives_its_body_is_no_success() {
    let kept = std::sync::Mutex::new(None);
    let kept = &kept;
    let told = NOTES
        .transaction(Isolation::ReadCommitted, |mut tx| async move {
            sqlx::query("INSERT INTO notes (text) VALUES ('kept')")
                .execute(&mut *tx)
                .await?;
            *kept.lock().unwrap() = Some(tx);
            Ok::<_, sqlx::Error>(())
        })
        .await;
    assert!(
        told.unwrap_err()
            .to_string()
            .contains("still holds the transaction")
    );
    drop(kept.lock().unwrap().take());
    assert_eq!(count(&NOTES).await, 0);
}

#[underlay::test]
async fn a_transaction_may_only_read() {
    let options = TransactionOptions::from(Isolation::RepeatableRead).read_only();
    let mut transaction = NOTES.begin_with(options).await.unwrap();
    let level: String = sqlx::query_scalar("SELECT current_setting('transaction_isolation')")
        .fetch_one(&mut *transaction)
        .await
        .unwrap();
    assert_eq!(level, "repeatable read");
    let refused = sqlx::query("INSERT INTO notes (text) VALUES ('x')")
        .execute(&mut *transaction)
        .await;
    // read_only_sql_transaction
    let error = refused.unwrap_err().into_database_error().unwrap();
    assert_eq!(error.code().as_deref(), Some("25006"));
}

#[underlay::test]
async fn handles_of_one_database_lead_to_it() {
    write("a").await;
    assert_eq!(count(&SAME_NOTES).await, 1);
    assert_eq!(
        count(NOTES.read_replica().unwrap()).await,
        1,
        "without a replica it is the database"
    );
    assert_eq!(SAME_NOTES.name(), "notes");
}

#[underlay::test]
async fn a_tool_can_connect_with_the_uri_and_nobody_sees_the_password() {
    use sqlx::Connection as _;

    write("a").await;
    let uri = NOTES.connection_string().unwrap();
    assert_eq!(format!("{uri:?}"), "ConnectionString(***)");
    let mut connection = sqlx::PgConnection::connect(uri.expose()).await.unwrap();
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM notes")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(rows, 1);
}

#[underlay::test]
async fn the_service_has_rights_to_data_only() {
    write("a").await;
    for statement in [
        "DROP TABLE notes",
        "ALTER TABLE notes ADD x INT",
        "CREATE TABLE x ()",
        "TRUNCATE notes",
    ] {
        let refused = sqlx::query(statement).execute(&*NOTES).await;
        // insufficient_privilege
        let error = refused.unwrap_err().into_database_error().unwrap();
        assert_eq!(error.code().as_deref(), Some("42501"), "{statement}");
    }
}

#[underlay::test]
async fn the_pool_tells_its_state() {
    let connection = NOTES.acquire().await.unwrap();
    let status = NOTES.pool_status().unwrap();
    assert!(status.connections > status.idle, "{status:?}");
    assert_eq!(status.max_connections, 30);
    drop(connection);
}
