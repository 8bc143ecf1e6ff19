//! Why a migration failed, in one sentence: the file and its line, what the server says, what of it was kept, and what to
//! do. It changes nothing.

use sqlx::PgConnection;
use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;

use super::Done;
use super::files::NO_TRANSACTION;
use crate::error::chain;

/// Why a file failed, where in it, and what of it was kept.
pub(super) async fn failed(
    connection: &mut PgConnection,
    file: &str,
    sql: &str,
    error: &MigrateError,
) -> String {
    let (MigrateError::ExecuteMigration(error, _) | MigrateError::Execute(error)) = error else {
        return general(error);
    };
    let database = error
        .as_database_error()
        .and_then(|it| it.try_downcast_ref::<PgDatabaseError>());
    let line = match database.and_then(PgDatabaseError::position) {
        Some(sqlx::postgres::PgErrorPosition::Original(at)) => {
            let before = sql.chars().take(at.saturating_sub(1));
            format!(":{}", before.filter(|it| *it == '\n').count() + 1)
        }
        _ => String::new(),
    };
    let mut text = format!("migration file `{file}{line}` failed: {}", text_of(error));
    if let Some(detail) = database.and_then(PgDatabaseError::detail) {
        text.push_str(&format!(" ({detail})"));
    }
    let without_transaction = sql.starts_with(NO_TRANSACTION);
    let code = database.map(|it| DatabaseError::code(it).unwrap_or_default());
    match (code.as_deref(), without_transaction) {
        // active_sql_transaction
        (Some("25001"), false) => text.push_str(&format!(
            "; begin the file with the line `{NO_TRANSACTION}` and give it this one statement"
        )),
        (Some("25001"), true) => text.push_str(&format!(
            "; a file with `{NO_TRANSACTION}` can have one statement: give each a file of its own"
        )),
        // insufficient_privilege
        (Some("42501"), _) => {
            text.push_str(
                "; give the migrator the right, or have it done by an administrator once",
            );
        }
        _ => {}
    }
    if without_transaction {
        text.push_str("; what it did before that is kept");
        let invalid = invalid_indexes(connection).await;
        if !invalid.is_empty() {
            text.push_str(&format!(
                ", and the index {} is invalid: drop it before the next attempt",
                invalid.join(", ")
            ));
        }
    } else {
        text.push_str("; nothing of it was kept");
    }
    text
}

/// The indexes that a `CREATE INDEX CONCURRENTLY` has left unfinished; none if they cannot be asked for.
async fn invalid_indexes(connection: &mut PgConnection) -> Vec<String> {
    let names = sqlx::query_scalar(
        "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid ORDER BY 1",
    );
    names.fetch_all(connection).await.unwrap_or_default()
}

pub(super) fn after(done: &[Done], why: String) -> String {
    match done {
        [] => why,
        [.., last] => format!("{why}; everything up to `{}` was applied", last.file),
    }
}

pub(super) fn general(error: &MigrateError) -> String {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            format!("the migrations cannot be applied: {}", text_of(error))
        }
        error => format!("the migrations cannot be applied: {}", chain(error)),
    }
}

pub(in crate::postgres) fn text_of(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        error => chain(error),
    }
}
