//! Pools of connections to the declared databases, and when their migrations are applied.
//!
//! How to connect and what a migration may be is in `underlay_backends::postgres`; this file knows the infra config's
//! `sql_servers` and `migrations`, and which role does what: the service's role looks, the migrator's applies.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection};
use tokio::time::Instant;
use underlay_backends::postgres::{self, migrations, migrations::Done, migrations::Migration};
use underlay_model::infra::{Migrations, SqlDatabase, SqlServer};
use underlay_model::{Declaration, InfraConfig, Model, duration};

use crate::database::Pools;
use crate::inventory::{Entry, Item};

/// The connections that a pool opens at most, unless the infra config says otherwise.
const MAX_CONNECTIONS: u32 = 100;
/// How long a caller waits for a free connection, unless the infra config says otherwise.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long connecting as the migrator may take.
const MIGRATOR_DEADLINE: Duration = Duration::from_secs(30);
/// How long a process waits for another one that applies migrations.
const MIGRATION_DEADLINE: Duration = Duration::from_secs(600);

/// A database that answers: its first connection, and the pools for everything after.
pub(crate) struct Opened {
    pub(crate) name: String,
    pub(crate) pools: Pools,
    /// As the service.
    connection: PgConnection,
    /// How to connect as the migrator, or which field keeps from it.
    migrator: Result<PgConnectOptions, String>,
    /// The service's role, if the migrator has another.
    service: Option<String>,
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
            let options = options(server, name, database, &model.application.name)
                .map_err(|why| format!("infra config: sql_servers[{index}].{why}"))?;
            open(name, options, database, deadline)
                .await
                .map_err(|why| format!("database `{name}` on {}: {why}", server.host))
        }))
        .await,
    )
}

/// How to reach a database: as the service, at its replica, as the migrator.
struct Options {
    service: PgConnectOptions,
    replica: Option<PgConnectOptions>,
    migrator: Result<PgConnectOptions, String>,
}

fn options(
    server: &SqlServer,
    name: &str,
    database: &SqlDatabase,
    application: &str,
) -> Result<Options, String> {
    let named = |options| postgres::with_application_name(options, application);
    Ok(Options {
        service: postgres::service_options(server, name, database).map(named)?,
        replica: postgres::replica_options(server, name, database)?.map(named),
        migrator: postgres::migrator_options(server, name, database)
            .map(|options| options.application_name("underlay migrations")),
    })
}

async fn open(
    name: &str,
    options: Options,
    database: &SqlDatabase,
    deadline: Instant,
) -> Result<Opened, String> {
    let connection = {
        let started = Instant::now();
        let mut told = started;
        let waiting = |reason: &str| {
            if told.elapsed() > Duration::from_secs(1) {
                told = Instant::now();
                tracing::warn!(
                    target: "underlay",
                    database = name,
                    "waiting for the database since {:.0?}: {reason}",
                    started.elapsed(),
                );
            }
        };
        postgres::connect(&options.service, deadline, waiting).await?
    };
    let acquire_timeout = match &database.acquire_timeout {
        Some(text) => duration::parse(text)?,
        None => ACQUIRE_TIMEOUT,
    };
    let pool = |options: &PgConnectOptions| {
        PgPoolOptions::new()
            .max_connections(database.max_connections.unwrap_or(MAX_CONNECTIONS))
            .min_connections(database.min_connections.unwrap_or(0))
            .acquire_timeout(acquire_timeout)
            .connect_lazy_with(options.clone())
    };
    let has_migrator = database
        .migrator
        .as_ref()
        .is_some_and(|it| it.username != database.username);
    Ok(Opened {
        name: name.to_owned(),
        pools: Pools {
            primary: pool(&options.service),
            replica: options.replica.as_ref().map(pool),
        },
        connection,
        migrator: options.migrator,
        service: has_migrator.then(|| database.username.clone()),
    })
}

/// The pools of all databases, by declared name.
pub(crate) fn pools(migrated: &[Migrated]) -> BTreeMap<String, Pools> {
    let pools = migrated.iter();
    pools
        .map(|it| (it.name.clone(), it.pools.clone()))
        .collect()
}

/// The migrations of every database that is declared here, by its name: those in the binary, or those on disk under
/// `root`, the checkout that the binary was built from, so that a new file needs no new build.
///
/// # Errors
///
/// Everything that is wrong with the files on disk.
pub(crate) fn migrations(
    entries: &[Entry],
    root: Option<&Path>,
) -> Result<BTreeMap<String, Vec<Migration>>, Vec<String>> {
    let mut files = BTreeMap::new();
    let mut problems = Vec::new();
    for entry in entries {
        let (Declaration::Database(it), Item::Database(database)) =
            (&entry.declaration, entry.item)
        else {
            continue;
        };
        match root.and_then(|root| migrations::folder(it, root)) {
            Some(folder) => match migrations::read_dir(&folder) {
                Ok(read) => {
                    files.insert(it.name.clone(), read);
                }
                Err(errors) => problems.extend(errors),
            },
            None => {
                files.insert(it.name.clone(), database.migrations());
            }
        }
    }
    if problems.is_empty() {
        Ok(files)
    } else {
        Err(problems)
    }
}

/// What happened to the migrations of one database.
pub(crate) struct Migrated {
    pub(crate) name: String,
    pub(crate) pools: Pools,
    /// The files that were applied now.
    pub(crate) applied: Vec<Done>,
}

/// Sees to the migrations of all databases at once: applies them, or expects that the job has, or looks at nothing.
///
/// # Errors
///
/// Everything that stands against applying them, for all databases; each file is named.
pub(crate) async fn migrate(
    opened: Vec<Opened>,
    files: &BTreeMap<String, Vec<Migration>>,
    mode: Migrations,
) -> Result<Vec<Migrated>, Vec<String>> {
    let results = join_all(opened.into_iter().map(async |opened| {
        let none = Vec::new();
        let files = files.get(&opened.name).unwrap_or(&none);
        migrate_one(opened, files, mode).await
    }));
    gather_all(results.await)
}

async fn migrate_one(
    opened: Opened,
    files: &[Migration],
    mode: Migrations,
) -> Result<Migrated, Vec<String>> {
    let Opened {
        name,
        pools,
        mut connection,
        migrator,
        service,
    } = opened;
    let is_current = if mode == Migrations::Off || files.is_empty() {
        Ok(true)
    } else {
        is_current(&name, &mut connection, files, mode).await
    };
    // Before another one is opened: a role may be limited to one. A failure to say goodbye is the server's business.
    let _ = connection.close().await;
    let applied = match is_current {
        Ok(true) => Ok(Vec::new()),
        Ok(false) => apply(&name, migrator, service, files).await,
        Err(problems) => Err(problems),
    };
    match applied {
        Ok(applied) => Ok(Migrated {
            name,
            pools,
            applied,
        }),
        Err(problems) => {
            let within = |problem| format!("database `{name}`: {problem}");
            Err(problems.into_iter().map(within).collect())
        }
    }
}

/// Whether nothing is to be applied, as the service's role sees it: so that such a start needs no other connection.
///
/// # Errors
///
/// Everything that stands against it.
async fn is_current(
    name: &str,
    connection: &mut PgConnection,
    files: &[Migration],
    mode: Migrations,
) -> Result<bool, Vec<String>> {
    let status = match migrations::status(connection, files).await {
        Ok(status) => status,
        // Not even that, for some hardened role: the migrator will see.
        Err(error) if mode == Migrations::OnStart && is_forbidden(&error) => return Ok(false),
        Err(error) => {
            return Err(vec![format!(
                "which migrations are applied cannot be seen: {}",
                crate::error::chain(&error)
            )]);
        }
    };
    let problems = status.problems();
    if !problems.is_empty() {
        return Err(problems);
    }
    for newer in status.newer() {
        tracing::warn!(
            target: "underlay",
            database = name,
            "migration {} ({}) is applied and newer than this binary",
            newer.number,
            newer.description,
        );
    }
    if mode == Migrations::Job && !status.is_current() {
        let files: Vec<&str> = status
            .pending()
            .filter_map(|it| it.file.as_deref())
            .collect();
        return Err(vec![format!(
            "not applied yet: {}; run the migration job first, which is this binary with UNDERLAY_TASK=migrate",
            files.join(", ")
        )]);
    }
    Ok(status.is_current())
}

async fn apply(
    name: &str,
    migrator: Result<PgConnectOptions, String>,
    service: Option<String>,
    files: &[Migration],
) -> Result<Vec<Done>, Vec<String>> {
    let options = migrator.map_err(|why| vec![format!("infra config: sql_servers[].{why}")])?;
    let soon = Instant::now() + MIGRATOR_DEADLINE;
    let mut migrating = postgres::connect(&options, soon, |_| {})
        .await
        .map_err(|why| vec![format!("as `{}`: {why}", options.get_username())])?;
    let deadline = Instant::now() + MIGRATION_DEADLINE;
    let done = migrations::apply(&mut migrating, files, service.as_deref(), deadline).await;
    let _ = migrating.close().await;
    for it in done.iter().flatten() {
        tracing::info!(target: "underlay", database = name, "applied {} in {:.0?}", it.file, it.took);
    }
    done
}

fn is_forbidden(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|it| it.code());
    code.as_deref() == Some("42501")
}

/// Applies all migrations of a database to one that was just created.
///
/// # Errors
///
/// Why they could not be applied.
#[cfg(feature = "local")]
pub(crate) async fn migrate_fresh(
    files: &[Migration],
    options: &PgConnectOptions,
    service: Option<&str>,
) -> Result<(), String> {
    let deadline = Instant::now() + MIGRATION_DEADLINE;
    let mut connection = postgres::connect(options, deadline, |_| {}).await?;
    let applied = migrations::apply(&mut connection, files, service, deadline).await;
    let _ = connection.close().await;
    applied.map(drop).map_err(|problems| problems.join("; "))
}

/// All values, or all problems.
fn gather<T>(results: Vec<Result<T, String>>) -> Result<Vec<T>, Vec<String>> {
    gather_all(
        results
            .into_iter()
            .map(|result| result.map_err(|problem| vec![problem]))
            .collect(),
    )
}

/// All values, or all problems.
fn gather_all<T>(results: Vec<Result<T, Vec<String>>>) -> Result<Vec<T>, Vec<String>> {
    let mut problems = Vec::new();
    let values = results
        .into_iter()
        .filter_map(|result| result.map_err(|it| problems.extend(it)).ok())
        .collect();
    if problems.is_empty() {
        Ok(values)
    } else {
        Err(problems)
    }
}
