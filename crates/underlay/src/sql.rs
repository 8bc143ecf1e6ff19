//! Pools of connections to the declared databases, and when their migrations are applied.
//!
//! How to connect and what a migration may be is in `underlay_backends::postgres`; this file knows the infra config's
//! `sql_servers` and `migrations`, and which role does what: the service's role looks, the migrator's applies.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection};
use tokio::time::Instant;
use underlay_backends::postgres::{
    self, migrations, migrations::Done, migrations::Migration, tables,
};
use underlay_model::infra::{Migrations, SqlDatabase, SqlServer};
use underlay_model::{Declaration, InfraConfig, Model, duration};

use crate::database::Pools;
use crate::inventory::{Entry, Item};

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
            open(name, options, server, database, deadline)
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
    server: &SqlServer,
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
            .max_connections(
                database
                    .max_connections
                    .unwrap_or(SqlDatabase::MAX_CONNECTIONS),
            )
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
            pooled: server.pooled,
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

/// What a database is to have.
#[derive(Default)]
pub(crate) struct Schema {
    pub(crate) migrations: Vec<Migration>,
    /// Whether Underlay's own tables are needed: it has an outbox, or records what was handled.
    pub(crate) tables: bool,
}

/// The databases that need Underlay's own tables.
pub(crate) fn with_tables(entries: &[Entry]) -> BTreeSet<String> {
    let named = entries.iter().filter_map(|it| match &it.declaration {
        Declaration::Database(it) => it.outbox.then(|| it.name.clone()),
        Declaration::Subscription(it) => it.idempotent_in.clone(),
        _ => None,
    });
    named.collect()
}

/// What every database that is declared here is to have, by its name. Its migrations are those in the binary, or those
/// on disk under `root`, the checkout that the binary was built from, so that a new file needs no new build.
///
/// # Errors
///
/// Everything that is wrong with the files on disk.
pub(crate) fn schemas(
    entries: &[Entry],
    root: Option<&Path>,
) -> Result<BTreeMap<String, Schema>, Vec<String>> {
    let mut schemas = BTreeMap::new();
    let mut problems = Vec::new();
    let with_tables = with_tables(entries);
    for entry in entries {
        let (Declaration::Database(it), Item::Database(database)) =
            (&entry.declaration, entry.item)
        else {
            continue;
        };
        let migrations = match root.and_then(|root| migrations::folder(it, root)) {
            Some(folder) => migrations::read_dir(&folder).unwrap_or_else(|errors| {
                problems.extend(errors);
                Vec::new()
            }),
            None => database.migrations(),
        };
        let schema = Schema {
            migrations,
            tables: with_tables.contains(&it.name),
        };
        schemas.insert(it.name.clone(), schema);
    }
    if problems.is_empty() {
        Ok(schemas)
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

/// Sees to the migrations of all databases at once: applies them, or expects that the job has, or looks at nothing but
/// whether Underlay's own tables are there.
///
/// # Errors
///
/// Everything that stands against applying them, for all databases; each file is named.
pub(crate) async fn migrate(
    opened: Vec<Opened>,
    schemas: &BTreeMap<String, Schema>,
    mode: Migrations,
) -> Result<Vec<Migrated>, Vec<String>> {
    let results = join_all(opened.into_iter().map(async |opened| {
        let none = Schema::default();
        let schema = schemas.get(&opened.name).unwrap_or(&none);
        migrate_one(opened, schema, mode).await
    }));
    gather_all(results.await)
}

async fn migrate_one(
    opened: Opened,
    schema: &Schema,
    mode: Migrations,
) -> Result<Migrated, Vec<String>> {
    let Opened {
        name,
        pools,
        mut connection,
        migrator,
        service,
    } = opened;
    let files = &schema.migrations;
    let mut is_complete = true;
    let mut problems = Vec::new();
    if mode != Migrations::Off && !files.is_empty() {
        match is_current(&name, &mut connection, files, mode).await {
            Ok(is_current) => is_complete &= is_current,
            Err(errors) => problems.extend(errors),
        }
    }
    if schema.tables {
        match has_tables(&mut connection, mode).await {
            Ok(has_tables) => is_complete &= has_tables,
            Err(error) => problems.push(error),
        }
    }
    // Before another one is opened: a role may be limited to one. A failure to say goodbye is the server's business.
    let _ = connection.close().await;
    let applied = if !problems.is_empty() {
        Err(problems)
    } else if is_complete {
        Ok(Vec::new())
    } else {
        apply(&name, migrator, service, schema).await
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

/// Whether Underlay's own tables are there; if they are not, the migrator is to make them.
///
/// # Errors
///
/// That nobody will make them, and what to do; or why that cannot be seen.
async fn has_tables(connection: &mut PgConnection, mode: Migrations) -> Result<bool, String> {
    let are_ready = tables::are_ready(connection).await.map_err(|error| {
        let error = crate::error::chain(&error);
        format!("whether the tables of the outbox are there cannot be seen: {error}")
    })?;
    let what = "the tables of the outbox, in the schema `underlay`, are missing, older than this binary, or closed to \
                this role";
    let run = "which is this binary with UNDERLAY_TASK=migrate";
    match mode {
        Migrations::Job if !are_ready => Err(format!("{what}; run the migration job first, {run}")),
        Migrations::Off if !are_ready => Err(format!(
            "{what}; run the migration job once, {run}: where migrations are `off`, it makes these tables and nothing \
             else"
        )),
        _ => Ok(are_ready),
    }
}

async fn apply(
    name: &str,
    migrator: Result<PgConnectOptions, String>,
    service: Option<String>,
    schema: &Schema,
) -> Result<Vec<Done>, Vec<String>> {
    let options = migrator.map_err(|why| vec![format!("infra config: sql_servers[].{why}")])?;
    let soon = Instant::now() + MIGRATOR_DEADLINE;
    let mut migrating = postgres::connect(&options, soon, |_| {})
        .await
        .map_err(|why| vec![format!("as `{}`: {why}", options.get_username())])?;
    let deadline = Instant::now() + MIGRATION_DEADLINE;
    let done = make(&mut migrating, schema, service.as_deref(), deadline).await;
    let _ = migrating.close().await;
    for it in done.iter().flatten() {
        tracing::info!(target: "underlay", database = name, "applied {} in {:.0?}", it.file, it.took);
    }
    done
}

/// Makes everything that a database is to have, as the migrator.
async fn make(
    connection: &mut PgConnection,
    schema: &Schema,
    service: Option<&str>,
    deadline: Instant,
) -> Result<Vec<Done>, Vec<String>> {
    if schema.tables {
        tables::make(connection, service, deadline).await?;
    }
    if schema.migrations.is_empty() {
        return Ok(Vec::new());
    }
    migrations::apply(connection, &schema.migrations, service, deadline).await
}

fn is_forbidden(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|it| it.code());
    code.as_deref() == Some("42501")
}

/// Makes everything that a database is to have in one that was just created.
///
/// # Errors
///
/// Why they could not be applied.
#[cfg(feature = "local")]
pub(crate) async fn migrate_fresh(
    schema: &Schema,
    options: &PgConnectOptions,
    service: Option<&str>,
) -> Result<(), String> {
    let deadline = Instant::now() + MIGRATION_DEADLINE;
    let mut connection = postgres::connect(options, deadline, |_| {}).await?;
    let made = make(&mut connection, schema, service, deadline).await;
    let _ = connection.close().await;
    made.map(drop).map_err(|problems| problems.join("; "))
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
