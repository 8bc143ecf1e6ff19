//! The migrations of a PostgreSQL database: what is to be applied, what stands against it, and applying it.
//!
//! `sqlx` keeps the table and runs each file; this file decides, before anything runs, whether files and table agree.
//! It knows nothing of declarations: the caller brings the migrations, from the binary or from a folder.
//!
//! Rules, each of which sqlx alone does not keep: a file with a lower number than one that is applied is an error,
//! not applied out of order; a migration in the table that is newer than all files is that of a newer binary and is
//! left alone; whoever waits for the lock holds no snapshot, because `CREATE INDEX CONCURRENTLY` waits for those.

mod failure;
mod files;

use std::collections::BTreeSet;
use std::time::Duration;

use crc::{CRC_32_ISO_HDLC, Crc};
use sqlx::migrate::{Migrate as _, MigrationType};
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};
use tokio::time::Instant;

pub(super) use self::failure::text_of;
use self::failure::{after, failed, general};
pub use self::files::{Migration, folder, read_dir};

/// The table that sqlx keeps.
const TABLE: &str = "_sqlx_migrations";
/// The wait between two attempts to take the lock.
const RETRY: Duration = Duration::from_millis(50);

/// How a migration stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is applied.
    Applied {
        /// When, in RFC 3339 and UTC.
        at: String,
    },
    /// It will be applied.
    Pending,
    /// It is applied, and its file was edited afterwards.
    Edited {
        /// When it was applied, in RFC 3339 and UTC.
        at: String,
    },
    /// It is not applied, and one with a higher number is.
    Late,
    /// It is applied, and there is no file for it.
    Unknown {
        /// When it was applied, in RFC 3339 and UTC.
        at: String,
        /// Whether its number is above those of all files, as after a newer binary.
        newer: bool,
    },
    /// It was applied in part, by a tool that keeps such a state.
    Dirty,
}

/// One migration of the files or of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub number: i64,
    /// Its description.
    pub description: String,
    /// The `.up.sql` file, if there is one.
    pub file: Option<String>,
    /// How it stands.
    pub state: State,
}

/// How files and table compare, by number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// All migrations of either.
    pub entries: Vec<Entry>,
}

impl Status {
    /// Whether nothing is to be applied.
    pub fn is_current(&self) -> bool {
        self.pending().next().is_none()
    }

    /// What will be applied, in order.
    pub fn pending(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|it| it.state == State::Pending)
    }

    /// The same with their texts, from the migrations that were compared.
    fn pending_of<'a>(
        &'a self,
        migrations: &'a [Migration],
    ) -> impl Iterator<Item = &'a Migration> {
        let of = |entry: &Entry| migrations.iter().find(|it| it.number == entry.number);
        self.pending().filter_map(of)
    }

    /// Applied migrations that are newer than all files: a newer binary was here.
    pub fn newer(&self) -> impl Iterator<Item = &Entry> {
        let is_newer = |it: &&Entry| matches!(it.state, State::Unknown { newer: true, .. });
        self.entries.iter().filter(is_newer)
    }

    /// Everything that stands against applying, one sentence each that names the file and says what to do.
    pub fn problems(&self) -> Vec<String> {
        let last = self
            .entries
            .iter()
            .rfind(|it| !matches!(it.state, State::Pending | State::Late))
            .map(|it| (it.number, it.description.as_str()))
            .unwrap_or_default();
        let problem = |entry: &Entry| {
            let file = entry.file.as_deref().unwrap_or_default();
            let number = entry.number;
            match &entry.state {
                State::Edited { .. } => Some(format!(
                    "migration file `{file}` was edited after it was applied; restore it and put the change into a new \
                     file, or, where the data may go, start afresh: cargo underlay db reset"
                )),
                State::Late => Some(format!(
                    "migration file `{file}` has a lower number than migration {} ({}), which is applied already; \
                     rename it to a number above {}",
                    last.0, last.1, last.0
                )),
                State::Unknown { newer: false, .. } => Some(format!(
                    "migration {number} ({}) is applied, and there is no file for it; restore the file",
                    entry.description
                )),
                State::Dirty => Some(format!(
                    "migration {number} ({}) was applied in part; mend the database by hand, then remove its row from \
                     {TABLE}",
                    entry.description
                )),
                State::Applied { .. } | State::Pending | State::Unknown { newer: true, .. } => None,
            }
        };
        self.entries.iter().filter_map(problem).collect()
    }
}

/// A file that was applied or taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The file's name.
    pub file: String,
    /// How long it took.
    pub took: Duration,
}

/// Compares files and table. It reads only, so that the service's own role may do it.
///
/// # Errors
///
/// Why the table cannot be read.
pub async fn status(
    connection: &mut PgConnection,
    migrations: &[Migration],
) -> Result<Status, sqlx::Error> {
    let exists: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(TABLE)
        .fetch_one(&mut *connection)
        .await?;
    let rows: Vec<(i64, String, Vec<u8>, bool, String)> = if exists {
        sqlx::query_as(
            "SELECT version, description, checksum, success, \
             to_char(installed_on AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') \
             FROM _sqlx_migrations ORDER BY version",
        )
        .fetch_all(connection)
        .await?
    } else {
        Vec::new()
    };
    let last_applied = rows.last().map_or(i64::MIN, |row| row.0);
    let last_file = migrations.iter().map(|it| it.number).max();
    let known: BTreeSet<i64> = rows.iter().map(|row| row.0).collect();
    let mut entries = Vec::new();
    for (number, description, checksum, success, at) in rows {
        let migration = migrations.iter().find(|it| it.number == number);
        let state = match migration {
            _ if !success => State::Dirty,
            Some(migration) if *migration.up().checksum == *checksum => State::Applied { at },
            Some(_) => State::Edited { at },
            None => State::Unknown {
                at,
                newer: last_file.is_none_or(|last| number > last),
            },
        };
        entries.push(Entry {
            number,
            description,
            file: migration.map(|it| it.file.clone().into_owned()),
            state,
        });
    }
    for migration in migrations.iter().filter(|it| !known.contains(&it.number)) {
        let is_late = migration.number < last_applied;
        entries.push(Entry {
            number: migration.number,
            description: migration.description.clone().into_owned(),
            file: Some(migration.file.clone().into_owned()),
            state: if is_late { State::Late } else { State::Pending },
        });
    }
    entries.sort_by_key(|it| it.number);
    Ok(Status { entries })
}

/// Applies what is pending, each file in a transaction of its own unless it starts with `-- no-transaction`.
///
/// Processes that apply at once wait for each other, until `deadline`, and for `sqlx migrate`; a file is applied once.
/// Nothing is applied when anything stands against it. `service` is the role that may read the table but not write.
///
/// # Errors
///
/// Everything that stands against it, or the one file that failed, with its line.
pub async fn apply(
    connection: &mut PgConnection,
    migrations: &[Migration],
    service: Option<&str>,
    deadline: Instant,
) -> Result<Vec<Done>, Vec<String>> {
    locked(connection, deadline, async |connection| {
        let status = begun(connection, migrations).await?;
        let mut done = Vec::new();
        for migration in status.pending_of(migrations) {
            match connection.apply(TABLE, &migration.up()).await {
                Ok(took) => done.push(Done {
                    file: migration.file.clone().into_owned(),
                    took,
                }),
                Err(error) => {
                    let why = failed(connection, &migration.file, &migration.sql, &error).await;
                    return Err(vec![after(&done, why)]);
                }
            }
        }
        if let Some(service) = service.filter(|_| !done.is_empty()) {
            protect_table(connection, service).await?;
        }
        Ok(done)
    })
    .await
}

/// Takes the last `steps` applied migrations back, newest first, with their `.down.sql` files.
///
/// # Errors
///
/// A migration of these without its file, before anything is run; or the one file that failed.
pub async fn rollback(
    connection: &mut PgConnection,
    migrations: &[Migration],
    steps: usize,
    deadline: Instant,
) -> Result<Vec<Done>, Vec<String>> {
    locked(connection, deadline, async |connection| {
        let status = agreed(connection, migrations).await?;
        let applied = status
            .entries
            .iter()
            .rev()
            .filter(|it| !matches!(it.state, State::Pending));
        let mut plan = Vec::new();
        let mut problems = Vec::new();
        for entry in applied.take(steps) {
            let migration = migrations.iter().find(|it| it.number == entry.number);
            match migration.map(|it| (it, it.down.as_ref())) {
                Some((migration, Some(down))) => plan.push((migration, down)),
                Some((migration, None)) => problems.push(format!(
                    "migration file `{}` has no `{}` beside it, so it cannot be taken back",
                    migration.file,
                    down_file(migration)
                )),
                None => problems.push(format!(
                    "migration {} ({}) is applied, and there is no file for it, so it cannot be taken back",
                    entry.number, entry.description
                )),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut done = Vec::new();
        for (migration, down) in plan {
            let file = down_file(migration);
            let revert = migration.with(MigrationType::ReversibleDown, down);
            match connection.revert(TABLE, &revert).await {
                Ok(took) => done.push(Done { file, took }),
                Err(error) => {
                    let why = failed(connection, &file, down, &error).await;
                    return Err(vec![after(&done, why)]);
                }
            }
        }
        Ok(done)
    })
    .await
}

/// Records the migrations up to a number as applied, without running them: for a database that has what they make.
/// Returns the files that were recorded.
///
/// # Errors
///
/// Everything that stands against it, as in [`apply`].
pub async fn baseline(
    connection: &mut PgConnection,
    migrations: &[Migration],
    up_to: i64,
    deadline: Instant,
) -> Result<Vec<String>, Vec<String>> {
    locked(connection, deadline, async |connection| {
        let status = begun(connection, migrations).await?;
        let mut recorded = Vec::new();
        let pending = status.pending_of(migrations);
        for migration in pending.filter(|it| it.number <= up_to) {
            connection
                .skip(TABLE, &migration.up())
                .await
                .map_err(|error| vec![general(&error)])?;
            recorded.push(migration.file.clone().into_owned());
        }
        Ok(recorded)
    })
    .await
}

fn down_file(migration: &Migration) -> String {
    migration.file.replace(".up.sql", ".down.sql")
}

/// The comparison, with the table created where it is missing.
async fn begun(
    connection: &mut PgConnection,
    migrations: &[Migration],
) -> Result<Status, Vec<String>> {
    connection
        .ensure_migrations_table(TABLE)
        .await
        .map_err(|error| vec![general(&error)])?;
    agreed(connection, migrations).await
}

/// The comparison, if nothing stands against going on.
async fn agreed(
    connection: &mut PgConnection,
    migrations: &[Migration],
) -> Result<Status, Vec<String>> {
    let status = status(connection, migrations)
        .await
        .map_err(|error| vec![format!("{TABLE} cannot be read: {}", text_of(&error))])?;
    let problems = status.problems();
    if problems.is_empty() {
        Ok(status)
    } else {
        Err(problems)
    }
}

/// Does something while no other process migrates this database.
///
/// The lock is the one that sqlx takes, but it is asked for again and again instead of waited for: a session that waits
/// in the server holds a snapshot, and `CREATE INDEX CONCURRENTLY` of the process that has the lock would wait for that.
pub(super) async fn locked<T>(
    connection: &mut PgConnection,
    deadline: Instant,
    act: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Vec<String>>,
) -> Result<T, Vec<String>> {
    let cannot = |error: sqlx::Error| {
        vec![format!(
            "the lock for migrations cannot be had: {}",
            text_of(&error)
        )]
    };
    let name: String = sqlx::query_scalar("SELECT current_database()")
        .fetch_one(&mut *connection)
        .await
        .map_err(cannot)?;
    let lock = lock_of(&name);
    loop {
        let is_ours: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(lock)
            .fetch_one(&mut *connection)
            .await
            .map_err(cannot)?;
        if is_ours {
            break;
        }
        if Instant::now() + RETRY >= deadline {
            let problem = "another process is applying migrations and has not come to an end in time; \
                           look for it in pg_stat_activity, or start again when it is done";
            return Err(vec![problem.to_owned()]);
        }
        tokio::time::sleep(RETRY).await;
    }
    let result = act(connection).await;
    let unlock = sqlx::query("SELECT pg_advisory_unlock($1)")
        .bind(lock)
        .execute(connection)
        .await;
    match (result, unlock) {
        (Ok(value), Ok(_)) => Ok(value),
        (Ok(_), Err(error)) => Err(cannot(error)),
        // The lock goes with the connection.
        (Err(problems), _) => Err(problems),
    }
}

/// The number of the lock that `sqlx migrate` takes for a database of this name (sqlx-postgres, `generate_lock_id`).
fn lock_of(database: &str) -> i64 {
    let crc = Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(database.as_bytes());
    0x3d32_ad9e_i64.wrapping_mul(i64::from(crc))
}

/// The table belongs to the migrator; the service may look at it.
async fn protect_table(connection: &mut PgConnection, service: &str) -> Result<(), Vec<String>> {
    let role = format!("\"{}\"", service.replace('"', "\"\""));
    let sql = format!("REVOKE ALL ON {TABLE} FROM {role}; GRANT SELECT ON {TABLE} TO {role}");
    let protected = connection.execute(AssertSqlSafe(sql)).await;
    protected.map(drop).map_err(|error| {
        vec![format!(
            "the rights of the role `{service}` on {TABLE} cannot be set: {}",
            text_of(&error)
        )]
    })
}
