//! Pools of connections to the declared databases, and their migrations.

use std::collections::BTreeMap;
use std::io::ErrorKind as Io;
use std::time::Duration;

use futures_util::future::join_all;
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, PgPool};
use tokio::time::Instant;
use underlay_model::infra::{SqlDatabase, SqlServer, TlsConfig};
use underlay_model::{InfraConfig, Model};

use crate::database::Database;

/// The connections that a pool opens at most, unless the infra config says otherwise.
const MAX_CONNECTIONS: u32 = 100;
/// How long a caller waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// The wait between two attempts to connect to a server that does not answer yet.
const RETRY: Duration = Duration::from_millis(250);

/// A database that answers: its first connection, and the pool for everything after.
pub(crate) struct Opened {
    pub(crate) name: String,
    pub(crate) pool: PgPool,
    connection: PgConnection,
}

/// Connects to every declared database, all at once. A server that does not answer is tried until the deadline.
///
/// # Errors
///
/// One sentence for each database that cannot be used.
pub(crate) async fn connect(
    config: &InfraConfig,
    model: &Model,
    deadline: Instant,
) -> Result<Vec<Opened>, Vec<String>> {
    let places = config
        .sql_servers
        .iter()
        .enumerate()
        .flat_map(|(index, server)| {
            server
                .databases
                .iter()
                .map(move |(name, database)| (index, server, name, database))
        });
    let declared =
        places.filter(|(_, _, name, _)| model.databases.iter().any(|it| it.name == **name));
    gather(
        join_all(declared.map(async |(index, server, name, database)| {
            let options = connect_options(server, name, database)
                .map_err(|why| format!("infra config: sql_servers[{index}].{why}"))?;
            open(name, options, database, deadline)
                .await
                .map_err(|why| format!("database `{name}` on {}: {why}", server.host))
        }))
        .await,
    )
}

/// Applies the migrations that are not applied yet, of all databases at once.
///
/// # Errors
///
/// One sentence for each database whose migrations could not be applied.
pub(crate) async fn migrate(
    opened: Vec<Opened>,
    statics: &BTreeMap<String, &'static Database>,
) -> Result<BTreeMap<String, PgPool>, Vec<String>> {
    let migrated = join_all(opened.into_iter().map(
        async |Opened {
                   name,
                   pool,
                   mut connection,
               }| {
            if let Some(database) = statics.get(&name) {
                let applied = database.migrator().run(&mut connection).await;
                applied
                    .map_err(|error| format!("database `{name}`: {}", explain_migration(&error)))?;
            }
            // A failure to say goodbye is the server's business.
            let _ = connection.close().await;
            Ok((name, pool))
        },
    ));
    gather(migrated.await)
}

/// Applies all migrations of a database to one that was just created.
///
/// # Errors
///
/// Why they could not be applied.
#[cfg(feature = "local")]
pub(crate) async fn migrate_fresh(
    database: &Database,
    options: &PgConnectOptions,
) -> Result<(), String> {
    let mut connection = options
        .connect()
        .await
        .map_err(|error| explain(&error, options))?;
    let applied = database.migrator().run(&mut connection).await;
    let _ = connection.close().await;
    applied.map_err(|error| explain_migration(&error))
}

/// All values, or all problems.
fn gather<T, C: FromIterator<T>>(results: Vec<Result<T, String>>) -> Result<C, Vec<String>> {
    let mut problems = Vec::new();
    let values = results
        .into_iter()
        .filter_map(|result| result.map_err(|problem| problems.push(problem)).ok());
    let values = values.collect();
    if problems.is_empty() {
        Ok(values)
    } else {
        Err(problems)
    }
}

async fn open(
    name: &str,
    options: PgConnectOptions,
    database: &SqlDatabase,
    deadline: Instant,
) -> Result<Opened, String> {
    let started = Instant::now();
    let mut told = started;
    let connection = loop {
        match tokio::time::timeout_at(deadline, options.connect()).await {
            Ok(Ok(connection)) => break connection,
            Ok(Err(error)) if may_come_up(&error) && Instant::now() + RETRY < deadline => {
                if told.elapsed() > Duration::from_secs(1) {
                    told = Instant::now();
                    tracing::warn!(
                        target: "underlay",
                        database = name,
                        "waiting for the database since {:.0?}: {}",
                        started.elapsed(),
                        explain(&error, &options),
                    );
                }
                tokio::time::sleep(RETRY).await;
            }
            Ok(Err(error)) => return Err(explain(&error, &options)),
            Err(_) => return Err(format!("no answer within {:.0?}", started.elapsed())),
        }
    };
    let pool = PgPoolOptions::new()
        .max_connections(database.max_connections.unwrap_or(MAX_CONNECTIONS))
        .min_connections(database.min_connections.unwrap_or(0))
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(options);
    Ok(Opened {
        name: name.to_owned(),
        pool,
        connection,
    })
}

/// Whether the server may answer if it is tried again: it is not there yet, or it is starting.
fn may_come_up(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => {
            matches!(
                error.kind(),
                Io::ConnectionRefused | Io::ConnectionReset | Io::ConnectionAborted | Io::NotFound
            )
        }
        sqlx::Error::Database(error) => error.code().as_deref() == Some("57P03"),
        _ => false,
    }
}

/// Why a database cannot be used, and what to do.
fn explain(error: &sqlx::Error, options: &PgConnectOptions) -> String {
    let role = options.get_username();
    let database = options.get_database().unwrap_or_default();
    match error {
        sqlx::Error::Io(error) => match error.kind() {
            Io::ConnectionRefused => {
                "the connection was refused; is the server running, and are host and port right?"
                    .to_owned()
            }
            Io::NotFound => {
                "there is no such socket; is the server running, and is the folder right?"
                    .to_owned()
            }
            _ => format!("the server could not be reached: {error}"),
        },
        sqlx::Error::Database(error) => match error.code().as_deref() {
            Some("28P01") => {
                format!("the server refused the password of the role `{role}`; correct it")
            }
            Some("28000") => format!(
                "the server does not let the role `{role}` in: {}",
                error.message()
            ),
            Some("3D000") => {
                format!("the server has no database `{database}`; create it, or correct `name`")
            }
            Some("53300") => {
                "the server has no connection left; raise its max_connections or lower ours"
                    .to_owned()
            }
            _ => error.message().to_owned(),
        },
        error => crate::error::chain(error),
    }
}

fn explain_migration(error: &MigrateError) -> String {
    match error {
        MigrateError::VersionMismatch(number) => format!(
            "migration {number} was edited after it was applied; restore the file, and put the change into a new one"
        ),
        MigrateError::VersionMissing(number) => format!(
            "migration {number} was applied, but this binary does not have it; \
             deploy the newer version, or restore the file"
        ),
        MigrateError::Dirty(number) => {
            format!(
                "migration {number} was applied in part; mend the database by hand, then remove its row from _sqlx_migrations"
            )
        }
        MigrateError::ExecuteMigration(error, number) => {
            format!(
                "migration {number} failed, and nothing of it was kept: {}",
                crate::error::chain(error)
            )
        }
        error => format!(
            "the migrations could not be applied: {}",
            crate::error::chain(error)
        ),
    }
}

/// The options for one database, or the field that cannot be honoured.
pub(crate) fn connect_options(
    server: &SqlServer,
    name: &str,
    database: &SqlDatabase,
) -> Result<PgConnectOptions, String> {
    let mut options = PgConnectOptions::new_without_pgpass()
        .username(&database.username)
        .password(database.password.expose())
        .database(database.name.as_deref().unwrap_or(name))
        .application_name("underlay");
    let (host, port) = match server.host.rsplit_once(':') {
        Some((host, port)) => (
            host,
            port.parse()
                .map_err(|_| format!("host: `{port}` is not a port"))?,
        ),
        None => (server.host.as_str(), 5432),
    };
    options = if host.starts_with('/') {
        options.socket(host)
    } else {
        options.host(host)
    };
    options = options.port(port);
    tls(
        options,
        &server.tls_config.clone().unwrap_or_default(),
        database,
    )
}

fn tls(
    options: PgConnectOptions,
    tls: &TlsConfig,
    database: &SqlDatabase,
) -> Result<PgConnectOptions, String> {
    if tls.disabled {
        return Ok(options.ssl_mode(PgSslMode::Disable));
    }
    if !cfg!(feature = "tls") {
        return Err("tls_config: this binary has no TLS; build it with the feature `tls` of underlay, \
                    or say `\"tls_config\": {\"disabled\": true}` for a server that is reached without it"
            .to_owned());
    }
    let mode = if tls.disable_ca_validation {
        PgSslMode::Require
    } else if tls.disable_tls_hostname_verification {
        PgSslMode::VerifyCa
    } else {
        PgSslMode::VerifyFull
    };
    let mut options = options.ssl_mode(mode);
    if let Some(ca) = &tls.ca {
        options = options.ssl_root_cert_from_pem(ca.clone().into_bytes());
    }
    if let Some(client) = database.client_cert.as_ref().or(tls.client_cert.as_ref()) {
        options = options
            .ssl_client_cert_from_pem(&client.cert)
            .ssl_client_key_from_pem(client.key.expose());
    }
    Ok(options)
}
