//! `#[database]`: a PostgreSQL database, used through its `sqlx` pool.

pub(crate) mod metrics;
mod transaction;

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use sqlx::{ConnectOptions as _, PgPool};
use underlay_backends::postgres::migrations::Migration;

pub use self::transaction::{Isolation, TransactionOptions, Tx};
use crate::handle::Slot;
use crate::{Error, Result};

/// A handle of a declared database. It dereferences to [`sqlx::PgPool`], so everything that takes a pool takes it.
///
/// Many handles may be of one database: `#[database(named = "users")]` refers to one that is declared elsewhere.
///
/// # Example
///
/// ```
/// use underlay::prelude::*;
///
/// #[database("users")]
/// static USERS: Database;
///
/// async fn count() -> underlay::Result<i64> {
///     Ok(sqlx::query_scalar("SELECT count(*) FROM pg_roles").fetch_one(&*USERS).await?)
/// }
/// # fn main() {}
/// ```
pub struct Database {
    name: &'static str,
    migrations: &'static [EmbeddedMigration],
    slot: Slot<Pools>,
}

/// What a database is bound to.
#[derive(Clone)]
pub(crate) struct Pools {
    pub(crate) primary: PgPool,
    pub(crate) replica: Option<PgPool>,
    /// Whether a pooler stands before the server, which gives no session of its own.
    pub(crate) pooled: bool,
}

impl Pools {
    /// Every pool.
    pub(crate) fn all(&self) -> impl Iterator<Item = PgPool> {
        std::iter::once(self.primary.clone()).chain(self.replica.clone())
    }
}

/// A migration file as `#[database]` puts it into the binary.
pub struct EmbeddedMigration {
    /// The number that orders it.
    pub number: i64,
    /// The description from its name.
    pub description: &'static str,
    /// The name of its `.up.sql` file.
    pub file: &'static str,
    /// The text of its `.up.sql` file.
    pub sql: &'static str,
}

/// The state of a pool at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStatus {
    /// The connections that are open.
    pub connections: u32,
    /// Those of them that nobody uses.
    pub idle: u32,
    /// The connections that the pool opens at most.
    pub max_connections: u32,
}

/// A URI with a password in it: shown only by [`expose`](Self::expose).
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionString(String);

impl ConnectionString {
    /// The text itself, for a tool that connects with it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectionString(***)")
    }
}

impl Database {
    #[doc(hidden)]
    pub const fn __new(name: &'static str, migrations: &'static [EmbeddedMigration]) -> Self {
        Self {
            name,
            migrations,
            slot: Slot::new(),
        }
    }

    /// The declared name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The pool of connections.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotStarted`](crate::ErrorKind::NotStarted) before the application is started and outside a test.
    pub fn pool(&'static self) -> Result<&'static PgPool> {
        self.pools().map(|pools| &pools.primary)
    }

    /// The pool of connections to the read replica that the infra config names; without one, [`pool`](Self::pool).
    ///
    /// What it reads may be older than what was just written.
    ///
    /// # Errors
    ///
    /// As [`pool`](Self::pool).
    ///
    /// # Example
    ///
    /// ```
    /// # use underlay::prelude::*;
    /// # #[database("users")]
    /// # static USERS: Database;
    /// async fn report() -> underlay::Result<i64> {
    ///     let users = "SELECT count(*) FROM users";
    ///     Ok(sqlx::query_scalar(users).fetch_one(USERS.read_replica()?).await?)
    /// }
    /// # fn main() {}
    /// ```
    pub fn read_replica(&'static self) -> Result<&'static PgPool> {
        let pools = self.pools()?;
        Ok(pools.replica.as_ref().unwrap_or(&pools.primary))
    }

    /// The URI of this database for tools that connect by themselves, with the service's role and password.
    ///
    /// TLS certificates that the infra config gives as text cannot be in a URI and are not.
    ///
    /// # Errors
    ///
    /// As [`pool`](Self::pool).
    pub fn connection_string(&'static self) -> Result<ConnectionString> {
        let options = self.pool()?.connect_options();
        Ok(ConnectionString(options.to_url_lossy().to_string()))
    }

    /// How many connections the pool has now.
    ///
    /// # Errors
    ///
    /// As [`pool`](Self::pool).
    pub fn pool_status(&'static self) -> Result<PoolStatus> {
        Ok(PoolStatus::of(self.pool()?))
    }

    fn pools(&'static self) -> Result<&'static Pools> {
        self.slot
            .get()
            .ok_or_else(|| Error::not_started("database", self.name))
    }

    pub(crate) fn bind(&'static self, pools: Pools) {
        self.slot.bind(pools);
    }

    /// The migrations that are in the binary.
    pub(crate) fn migrations(&self) -> Vec<Migration> {
        let migrations = self.migrations.iter().map(|it| Migration {
            number: it.number,
            description: Cow::Borrowed(it.description),
            file: Cow::Borrowed(it.file),
            sql: Cow::Borrowed(it.sql),
            down: None,
        });
        migrations.collect()
    }
}

impl PoolStatus {
    pub(crate) fn of(pool: &PgPool) -> Self {
        Self {
            connections: pool.size(),
            idle: u32::try_from(pool.num_idle()).unwrap_or(u32::MAX),
            max_connections: pool.options().get_max_connections(),
        }
    }
}

impl Deref for Database {
    type Target = PgPool;

    /// # Panics
    ///
    /// Before the application is started and outside a test; [`Database::pool`] returns an error instead.
    fn deref(&self) -> &PgPool {
        match self.slot.get() {
            Some(pools) => &pools.primary,
            None => panic!("{}", Error::not_started("database", self.name)),
        }
    }
}
