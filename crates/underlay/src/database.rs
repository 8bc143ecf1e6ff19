//! `#[database]`: a PostgreSQL database, used through its `sqlx` pool.

use std::borrow::Cow;
use std::ops::Deref;

use sqlx::PgPool;
use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use crate::handle::Slot;
use crate::{Error, Result};

/// A handle of a declared database. It dereferences to [`sqlx::PgPool`], so everything that takes a pool takes it.
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
    slot: Slot<PgPool>,
}

/// A migration file as `#[database]` puts it into the binary.
pub struct EmbeddedMigration {
    /// The number that orders it.
    pub number: i64,
    /// The description from its name.
    pub description: &'static str,
    /// The text of its `.up.sql` file.
    pub sql: &'static str,
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
        self.slot
            .get()
            .ok_or_else(|| Error::not_started("database", self.name))
    }

    pub(crate) fn bind(&'static self, pool: PgPool) {
        self.slot.bind(pool);
    }

    /// The embedded migrations, for sqlx's migrator.
    pub(crate) fn migrator(&self) -> Migrator {
        let migrations = self.migrations.iter().map(|it| {
            Migration::new(
                it.number,
                Cow::Borrowed(it.description),
                MigrationType::ReversibleUp,
                it.sql.into_sql_str(),
                it.sql.starts_with("-- no-transaction"),
            )
        });
        Migrator::with_migrations(migrations.collect())
    }
}

impl Deref for Database {
    type Target = PgPool;

    /// # Panics
    ///
    /// Before the application is started and outside a test; [`Database::pool`] returns an error instead.
    fn deref(&self) -> &PgPool {
        match self.slot.get() {
            Some(pool) => pool,
            None => panic!("{}", Error::not_started("database", self.name)),
        }
    }
}
