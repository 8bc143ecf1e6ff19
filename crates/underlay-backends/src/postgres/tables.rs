//! Underlay's own tables in an application's database, in a schema of their own: whether they are there, and making them.
//!
//! They are no migrations of the application's: neither its files nor `_sqlx_migrations` know of them. Each release that
//! changes them adds a file, which is applied once. What is done with the rows is in the files beside this one.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::time::Instant;

use super::migrations::{locked, text_of};

/// What makes the tables, by version from 1; what was released is not edited.
const FILES: [&str; 1] = [include_str!("tables/1.sql")];

/// What the service's role may do; all else belongs to the migrator.
const RIGHTS: [(&str, &str); 4] = [
    ("version", "SELECT"),
    ("outbox", "SELECT, INSERT, UPDATE (error), DELETE"),
    ("handled", "SELECT, INSERT, DELETE"),
    ("lease", "SELECT, INSERT, UPDATE"),
];

/// Everything that the tables depend on.
pub fn content() -> String {
    FILES.concat()
}

/// Whether the tables are there, as this binary or a newer one has made them, and this role may use them.
///
/// # Errors
///
/// Why that cannot be seen.
pub async fn are_ready(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    // Not by `to_regclass`, which fails for a role that may not look into the schema.
    let usable: bool = sqlx::query_scalar(
        "SELECT count(*) = 4 FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE n.nspname = 'underlay' AND c.relname IN ('version', 'outbox', 'handled', 'lease') \
         AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') \
         AND (c.relname = 'version' OR has_table_privilege(c.oid, 'INSERT'))",
    )
    .fetch_one(&mut *connection)
    .await?;
    Ok(usable && version(connection).await? >= newest())
}

/// Makes the tables or what is missing of them, and gives the role `service` the rights that it needs and no others.
///
/// Processes that do so at once wait for each other, until `deadline`.
///
/// # Errors
///
/// Why they cannot be made.
pub async fn make(
    connection: &mut PgConnection,
    service: Option<&str>,
    deadline: Instant,
) -> Result<(), Vec<String>> {
    locked(connection, deadline, async |connection| {
        made(connection, service).await.map_err(|error| {
            vec![format!(
                "the tables of the outbox, in the schema `underlay`, cannot be made: {}",
                text_of(&error)
            )]
        })
    })
    .await
}

async fn made(connection: &mut PgConnection, service: Option<&str>) -> Result<(), sqlx::Error> {
    let exists: bool = sqlx::query_scalar("SELECT to_regclass('underlay.version') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?;
    let version = if exists {
        version(connection).await?
    } else {
        0
    };
    for (number, file) in (1..).zip(FILES).filter(|(number, _)| *number > version) {
        let mut transaction = connection.begin().await?;
        transaction.execute(file).await?;
        sqlx::query("INSERT INTO underlay.version (number) VALUES ($1)")
            .bind(number)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
    }
    let Some(service) = service else {
        return Ok(());
    };
    let role = format!("\"{}\"", service.replace('"', "\"\""));
    // The migrator's default privileges may give more.
    let mut sql = format!(
        "BEGIN; REVOKE ALL ON ALL TABLES IN SCHEMA underlay FROM {role}; \
         REVOKE ALL ON ALL SEQUENCES IN SCHEMA underlay FROM {role}; GRANT USAGE ON SCHEMA underlay TO {role}; "
    );
    for (table, rights) in RIGHTS {
        sql.push_str(&format!("GRANT {rights} ON underlay.{table} TO {role}; "));
    }
    sql.push_str("COMMIT");
    connection.execute(AssertSqlSafe(sql)).await.map(drop)
}

async fn version(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar("SELECT coalesce(max(number), 0) FROM underlay.version")
        .fetch_one(connection)
        .await
}

/// The version that this binary knows.
fn newest() -> i32 {
    i32::try_from(FILES.len()).unwrap_or(i32::MAX)
}
