//! Databases for tests: one per test, cloned from a template that is migrated once.
//!
//! It knows names and lifetimes of databases and nothing of migrations: the caller builds a template's content.
//!
//! Names on the server, with the checkout's id in each, because a server of the user's may serve several checkouts:
//! `underlay_<checkout>_t_<hash>` is a template, `…_b_<hash>` one that is being built, `…_c_<owner>_<n>` a clone.
//!
//! Every process that makes clones holds an advisory lock, whose number is in its clones' names, on a connection of
//! its own. The server gives the lock back when the process is gone, however it went and whatever machine it ran on;
//! so a clone whose lock is free belongs to nobody.

use std::{
    fmt,
    future::Future,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, SystemTime},
};

use sha2::{Digest, Sha256};
use sqlx::{
    AssertSqlSafe, Connection, Executor,
    postgres::{PgConnectOptions, PgConnection},
};
use tokio::sync::oneshot;

use super::{
    admin::{self, quoted, text_of},
    databases,
    roles::Roles,
};
use crate::{
    error::{Error, ErrorKind},
    provision::{Admin, Provisioned},
    report::{Reporter, waiting},
};

/// Counts what is done to a template before its content: what an older Underlay has built is not used.
const LAYOUT: u32 = 1;

/// After how many days a template that nobody used is removed.
const TEMPLATE_DAYS: u64 = 7;

/// The test databases of one process.
#[derive(Debug)]
pub struct TestCluster {
    admin: Admin,
    /// Who owns the databases and who is to use them; absent where there can be no roles.
    roles: Option<Roles>,
    prefix: String,
    /// Our lock's number, which our clones' names carry.
    owner: u64,
    next: AtomicU64,
    /// Ends the thread that holds the lock when it is dropped.
    _alive: oneshot::Sender<()>,
}

impl TestCluster {
    /// Begins to make test databases on the server of `provisioned`, and removes what crashed runs have left there.
    ///
    /// It does not depend on the runtime that calls it: tests with a runtime each can share it.
    ///
    /// # Errors
    ///
    /// When no database is declared, or the server does not do what is asked.
    pub async fn start(provisioned: &Provisioned, reporter: &dyn Reporter) -> Result<Self, Error> {
        let Some(admin) = &provisioned.admin else {
            return Err(Error::new(
                ErrorKind::Database,
                "the model declares no database, so there is none to clone",
            ));
        };
        let owner = rand::random::<u64>() >> 1;
        let alive = hold_lock(admin.options.clone(), owner).await?;
        let prefix = format!("underlay_{}_", provisioned.checkout_id);
        let cluster = Self {
            admin: admin.clone(),
            roles: provisioned.access.roles.clone(),
            prefix,
            owner,
            next: AtomicU64::new(0),
            _alive: alive,
        };
        waiting(
            reporter,
            "the removal of databases that crashed tests have left",
            cluster.remove_leftovers(),
        )
        .await?;
        Ok(cluster)
    }

    /// How to connect to one of the databases as the one who may do everything.
    pub fn connect_options(&self, database: &str) -> PgConnectOptions {
        self.admin.connect_options(database)
    }

    /// The template called `name`, built with `build` if no process has built it yet.
    ///
    /// `build` connects as the one who migrates, and owns what it makes: the service that the infra config names has its
    /// rights to that in the clones, as in every other database.
    ///
    /// The name must say everything that the content depends on, such as the migrations' checksums. When several
    /// processes ask at once, one builds and the others wait. A template that could not be built is not kept.
    ///
    /// # Errors
    ///
    /// What `build` fails with, or the server.
    pub async fn template<F, B, E>(&self, name: &str, build: F) -> Result<String, Error>
    where
        F: FnOnce(PgConnectOptions) -> B,
        B: Future<Output = Result<(), E>>,
        E: fmt::Display,
    {
        // The rights in a template are those of certain roles.
        let owner = self.roles.as_ref().map_or("", |it| &it.migrator.name);
        let content = format!("{LAYOUT} {owner} {name}");
        let hash = hex::encode(&Sha256::digest(content)[..8]);
        let template = format!("{}t_{hash}", self.prefix);
        let mut connection = self.connect().await?;
        if self.find_template(&mut connection, &template).await? {
            return Ok(template);
        }
        sqlx::query("SELECT pg_advisory_lock($1)")
            .bind(lock_of(&template))
            .execute(&mut connection)
            .await
            .map_err(|error| problem(&format!("wait for the template of {name}"), &error))?;
        if !self.find_template(&mut connection, &template).await? {
            let building = format!("{}b_{hash}", self.prefix);
            drop_database(&mut connection, &building).await?;
            self.create_database(&mut connection, &building, "template0")
                .await?;
            let mut options = self.admin.connect_options(&building);
            if let Some(roles) = &self.roles {
                databases::furnish(&options, &building, roles).await?;
                options = roles.migrator.options(&options);
            }
            if let Err(error) = build(options).await {
                drop_database(&mut connection, &building).await?;
                return Err(Error::new(
                    ErrorKind::Database,
                    format!("cannot build the test database of {name}: {error}"),
                ));
            }
            let sql = format!(
                "ALTER DATABASE {} RENAME TO {}",
                quoted(&building),
                quoted(&template)
            );
            self.patiently(&mut connection, &sql).await?;
            self.mark_used(&mut connection, &template).await?;
        }
        // The lock goes with the connection.
        let _ = connection.close().await;
        Ok(template)
    }

    /// Makes a database of one's own from a template, and gives its name.
    ///
    /// # Errors
    ///
    /// When the server cannot copy the template.
    pub async fn clone(&self, template: &str) -> Result<String, Error> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}c_{:016x}_{number}", self.prefix, self.owner);
        let mut connection = self.connect().await?;
        self.create_database(&mut connection, &name, template)
            .await?;
        let _ = connection.close().await;
        Ok(name)
    }

    /// Removes a database that [`Self::clone`] made; connections to it are cut.
    ///
    /// # Errors
    ///
    /// When `name` is none of this process's clones, or the server cannot remove it.
    pub async fn drop(&self, name: &str) -> Result<(), Error> {
        if !name.starts_with(&format!("{}c_{:016x}_", self.prefix, self.owner)) {
            return Err(Error::new(
                ErrorKind::Database,
                format!("`{name}` is no test database of this process"),
            ));
        }
        let mut connection = self.connect().await?;
        drop_database(&mut connection, name).await?;
        let _ = connection.close().await;
        Ok(())
    }

    /// Removes the databases of processes that are gone, and templates that nobody used for a week; gives their names.
    ///
    /// # Errors
    ///
    /// When the server cannot list or remove them.
    pub async fn remove_leftovers(&self) -> Result<Vec<String>, Error> {
        let mut connection = self.connect().await?;
        let rows: Vec<(String, Option<String>)> = sqlx::query_as(
            "SELECT datname::text, shobj_description(oid, 'pg_database') FROM pg_database \
             WHERE starts_with(datname::text, $1) ORDER BY 1",
        )
        .bind(&self.prefix)
        .fetch_all(&mut connection)
        .await
        .map_err(|error| problem("list the test databases", &error))?;
        let mut removed = Vec::new();
        for (name, comment) in rows {
            let rest = name.strip_prefix(&self.prefix).unwrap_or_default();
            let lock = match rest.split_once('_') {
                Some(("c", rest)) => rest
                    .split('_')
                    .next()
                    .and_then(|owner| i64::from_str_radix(owner, 16).ok()),
                Some(("b", hash)) => Some(lock_of(&format!("{}t_{hash}", self.prefix))),
                Some(("t", _)) => {
                    let day = comment
                        .and_then(|comment| comment.parse::<u64>().ok())
                        .unwrap_or_default();
                    (day + TEMPLATE_DAYS < today()).then(|| lock_of(&name))
                }
                _ => None,
            };
            let Some(lock) = lock else { continue };
            let is_free: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
                .bind(lock)
                .fetch_one(&mut connection)
                .await
                .map_err(|error| problem("look for the owners of test databases", &error))?;
            if is_free {
                drop_database(&mut connection, &name).await?;
                sqlx::query("SELECT pg_advisory_unlock($1)")
                    .bind(lock)
                    .execute(&mut connection)
                    .await
                    .map_err(|error| problem("give back the lock of a test database", &error))?;
                removed.push(name);
            }
        }
        let _ = connection.close().await;
        Ok(removed)
    }

    async fn connect(&self) -> Result<PgConnection, Error> {
        admin::connect(&self.admin.options, Duration::from_secs(10))
            .await
            .map_err(|reason| {
                Error::new(
                    ErrorKind::Database,
                    format!(
                        "cannot connect to the test cluster at {}: {reason}",
                        self.admin.host
                    ),
                )
            })
    }

    async fn create_database(
        &self,
        connection: &mut PgConnection,
        name: &str,
        template: &str,
    ) -> Result<(), Error> {
        // Copying files needs two checkpoints. Without fsync those are cheap, and it takes half as long as logging
        // each page (33 against 79 ms, measured with PostgreSQL 15 in memory). Before version 15 there is no other
        // way, and no word for it.
        let strategy = match connection.server_version_num() {
            Some(number) if number >= 150_000 && self.admin.is_ours => " STRATEGY file_copy",
            _ => "",
        };
        let owner = self
            .roles
            .as_ref()
            .map(|it| format!(" OWNER {}", quoted(&it.migrator.name)))
            .unwrap_or_default();
        let sql = format!(
            "CREATE DATABASE {}{owner} TEMPLATE {}{strategy}",
            quoted(name),
            quoted(template)
        );
        patiently(connection, &sql)
            .await
            .map_err(|error| problem(&format!("create the test database {name}"), &error))
    }

    /// Whether a template is complete; when it is, it counts as used today.
    async fn find_template(
        &self,
        connection: &mut PgConnection,
        template: &str,
    ) -> Result<bool, Error> {
        let row: Option<Option<String>> = sqlx::query_scalar(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = $1",
        )
        .bind(template)
        .fetch_optional(&mut *connection)
        .await
        .map_err(|error| problem("look for a template", &error))?;
        let Some(comment) = row else { return Ok(false) };
        if comment.as_deref() != Some(&*today().to_string()) {
            self.mark_used(connection, template).await?;
        }
        Ok(true)
    }

    async fn mark_used(&self, connection: &mut PgConnection, template: &str) -> Result<(), Error> {
        let sql = format!("COMMENT ON DATABASE {} IS '{}'", quoted(template), today());
        self.patiently(connection, &sql).await
    }

    /// Runs a statement again while another session stands in its way.
    async fn patiently(&self, connection: &mut PgConnection, sql: &str) -> Result<(), Error> {
        patiently(connection, sql)
            .await
            .map_err(|error| problem("finish a template", &error))
    }
}

/// Takes a session's lock on a thread of its own, with a runtime of its own, and keeps it until the sender is dropped.
async fn hold_lock(options: PgConnectOptions, lock: u64) -> Result<oneshot::Sender<()>, Error> {
    let (alive, end) = oneshot::channel::<()>();
    let (report, taken) = oneshot::channel::<Result<(), String>>();
    let failed = |reason: String| {
        Error::new(
            ErrorKind::Database,
            format!("cannot mark this process's test databases as used: {reason}"),
        )
    };
    let hold = move || {
        let runtime = match tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
        {
            Ok(runtime) => runtime,
            Err(error) => {
                let _ = report.send(Err(error.to_string()));
                return;
            }
        };
        runtime.block_on(async move {
            let take = async {
                let mut connection = admin::connect(&options, Duration::from_secs(10)).await?;
                let number = i64::try_from(lock).unwrap_or_default();
                sqlx::query("SELECT pg_advisory_lock($1)")
                    .bind(number)
                    .execute(&mut connection)
                    .await
                    .map_err(|error| text_of(&error))?;
                Ok(connection)
            };
            match take.await {
                Ok(connection) => {
                    // Nobody to tell: the caller has gone away meanwhile, and `end` says so too.
                    let _ = report.send(Ok(()));
                    let _ = end.await;
                    let _ = connection.close().await;
                }
                Err(reason) => {
                    let _ = report.send(Err(reason));
                }
            }
        });
    };
    thread::Builder::new()
        .name("underlay-test-databases".to_owned())
        .spawn(hold)
        .map_err(|error| failed(error.to_string()))?;
    match taken.await {
        Ok(Ok(())) => Ok(alive),
        Ok(Err(reason)) => Err(failed(reason)),
        Err(_) => Err(failed("the thread for it has ended".to_owned())),
    }
}

fn problem(action: &str, error: &sqlx::Error) -> Error {
    Error::new(
        ErrorKind::Database,
        format!("cannot {action}: {}", text_of(error)),
    )
}

async fn drop_database(connection: &mut PgConnection, name: &str) -> Result<(), Error> {
    let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(name));
    match connection.execute(AssertSqlSafe(sql)).await {
        Ok(_) => Ok(()),
        Err(error) => Err(problem(&format!("remove the test database {name}"), &error)),
    }
}

/// Runs a statement again, for up to half a minute, while another session is connected to the database it is about:
/// a builder's pool closes its connections a moment after the builder is done.
async fn patiently(connection: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    let begin = std::time::Instant::now();
    loop {
        match connection.execute(AssertSqlSafe(sql.to_owned())).await {
            Ok(_) => return Ok(()),
            // object_in_use
            Err(sqlx::Error::Database(error))
                if error.code().as_deref() == Some("55006")
                    && begin.elapsed() < Duration::from_secs(30) =>
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// The number of the lock under which a template is built.
fn lock_of(template: &str) -> i64 {
    let digest = Sha256::digest(template);
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    // Negative: the locks of owners are not.
    i64::from_be_bytes(bytes) | i64::MIN
}

/// The number of this day since 1970.
fn today() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() / 86_400)
}
