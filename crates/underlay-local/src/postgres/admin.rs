//! Connections to a PostgreSQL server, and the databases on it.

use std::time::{Duration, Instant};

use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Executor,
    postgres::{PgConnectOptions, PgConnection, PgSslMode},
};

use super::Address;
use crate::error::{Error, ErrorKind};

/// The options for one database of a server of ours.
pub(crate) fn options(
    address: &Address,
    user: &str,
    password: &str,
    database: &str,
) -> PgConnectOptions {
    let options = PgConnectOptions::new_without_pgpass()
        .username(user)
        .password(password)
        .database(database)
        .application_name("underlay")
        .ssl_mode(PgSslMode::Disable);
    match address {
        Address::Socket { folder, port } => options.socket(folder).port(*port),
        Address::Tcp { host, port } => options.host(host).port(*port),
    }
}

/// How long one attempt to connect may take, to a server on this machine or far away.
const ATTEMPT: Duration = Duration::from_secs(10);

/// Connects, trying again for as long as the server may just be starting.
pub(crate) async fn connect(
    options: &PgConnectOptions,
    patience: Duration,
) -> Result<PgConnection, String> {
    let begin = Instant::now();
    loop {
        match connect_once(options).await {
            Ok(connection) => return Ok(connection),
            Err(problem) if !problem.may_be_starting || begin.elapsed() >= patience => {
                return Err(problem.text);
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Why an attempt to connect failed.
pub(crate) struct Problem {
    pub(crate) text: String,
    pub(crate) may_be_starting: bool,
    /// Whether the login is through, and only this database is closed to the role.
    pub(crate) is_denied: bool,
}

/// Connects with one attempt.
pub(crate) async fn connect_once(options: &PgConnectOptions) -> Result<PgConnection, Problem> {
    // Statements with passwords in them must not come into a log.
    let options = options.clone().disable_statement_logging();
    match tokio::time::timeout(ATTEMPT, PgConnection::connect_with(&options)).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(Problem {
            text: text_of(&error),
            may_be_starting: may_be_starting(&error),
            is_denied: is_denied(&error),
        }),
        Err(_) => Err(Problem {
            text: "the server does not answer".to_owned(),
            may_be_starting: true,
            is_denied: false,
        }),
    }
}

fn may_be_starting(error: &sqlx::Error) -> bool {
    // cannot_connect_now
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::Protocol(_)) || has_code(error, &["57P03"])
}

/// Whether the server says that the role may not do this: insufficient_privilege.
pub(crate) fn is_denied(error: &sqlx::Error) -> bool {
    has_code(error, &["42501"])
}

/// Whether another session was faster with a database: duplicate_database, or unique_violation in the catalog.
pub(crate) fn is_duplicate(error: &sqlx::Error) -> bool {
    has_code(error, &["42P04", "23505"])
}

fn has_code(error: &sqlx::Error, codes: &[&str]) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.code().is_some_and(|it| codes.contains(&&*it)))
}

/// The text of an error without sqlx's own preface.
pub(crate) fn text_of(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        sqlx::Error::Io(error) => crate::error::os_text(error),
        other => other.to_string(),
    }
}

/// The server's version, such as `17.6`.
pub(crate) fn version(connection: &PgConnection) -> String {
    match connection.server_version_num() {
        Some(number) if number >= 100_000 => format!("{}.{}", number / 10_000, number % 10_000),
        Some(number) => format!("{}.{}", number / 10_000, number / 100 % 100),
        None => "of unknown version".to_owned(),
    }
}

/// Creates the databases that are missing; `template` is what they are copied from.
pub(crate) async fn create_databases(
    connection: &mut PgConnection,
    names: &[String],
    template: Option<&str>,
) -> Result<(), Error> {
    let problem = |action: String, error: &sqlx::Error| {
        Error::new(
            ErrorKind::Database,
            format!("cannot {action}: {}", text_of(error)),
        )
    };
    let existing: Vec<String> = sqlx::query_scalar("SELECT datname::text FROM pg_database")
        .fetch_all(&mut *connection)
        .await
        .map_err(|error| {
            problem(
                "list the databases of the PostgreSQL server".to_owned(),
                &error,
            )
        })?;
    for name in names.iter().filter(|name| !existing.contains(name)) {
        let template = template
            .map(|it| format!(" TEMPLATE {}", quoted(it)))
            .unwrap_or_default();
        let sql = format!("CREATE DATABASE {}{template}", quoted(name));
        match connection.execute(AssertSqlSafe(sql)).await {
            Ok(_) => {}
            Err(error) if is_duplicate(&error) => {}
            Err(error) => return Err(problem(format!("create the database `{name}`"), &error)),
        }
    }
    Ok(())
}

/// An SQL identifier in quotes.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
