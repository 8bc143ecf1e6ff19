//! Migration files: from a folder on disk, or from the binary, into what sqlx runs. It does not know the table.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sqlx::migrate::MigrationType;
use sqlx::{AssertSqlSafe, SqlSafeStr as _};
use underlay_model::migration::{Direction, check_set, parse_file_name};
use underlay_model::model::Database;

/// What a file starts with that must not run in a transaction.
pub(super) const NO_TRANSACTION: &str = "-- no-transaction";

/// A migration: its `.up.sql` file, and the `.down.sql` beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// The number that orders it.
    pub number: i64,
    /// The description from the file's name, with spaces.
    pub description: Cow<'static, str>,
    /// The name of the `.up.sql` file.
    pub file: Cow<'static, str>,
    /// The text of the `.up.sql` file.
    pub sql: Cow<'static, str>,
    /// The text of the `.down.sql` file, if it is there and known.
    pub down: Option<Cow<'static, str>>,
}

impl Migration {
    pub(super) fn with(&self, ty: MigrationType, sql: &str) -> sqlx::migrate::Migration {
        sqlx::migrate::Migration::new(
            self.number,
            self.description.clone(),
            ty,
            // It is the developer's own, from a file.
            AssertSqlSafe(sql.to_owned()).into_sql_str(),
            sql.starts_with(NO_TRANSACTION),
        )
    }

    pub(super) fn up(&self) -> sqlx::migrate::Migration {
        self.with(MigrationType::ReversibleUp, &self.sql)
    }
}

/// The migrations folder of a declared database, below the checkout that its binary was built from; `None` where there
/// is no such folder.
pub fn folder(database: &Database, root: &Path) -> Option<PathBuf> {
    let dir = database.migrations_dir.as_deref()?;
    // The compiler names files relative to the workspace; those of other crates absolutely.
    let file = root.join(&database.source.file);
    let package = file
        .ancestors()
        .skip(1)
        .find(|it| it.join("Cargo.toml").is_file())?;
    Some(package.join(dir)).filter(|it| it.is_dir())
}

/// Reads the migrations in a folder, by number.
///
/// # Errors
///
/// Everything that is wrong with the files' names, and every file that cannot be read.
pub fn read_dir(dir: &Path) -> Result<Vec<Migration>, Vec<String>> {
    let unreadable =
        |path: &Path, error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let mut problems = Vec::new();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|error| vec![unreadable(dir, error)])? {
        match entry {
            Ok(entry) if entry.path().is_dir() => {}
            Ok(entry) => names.push(entry.file_name().to_string_lossy().into_owned()),
            Err(error) => problems.push(unreadable(dir, error)),
        }
    }
    names.sort();
    let mut files = Vec::new();
    for name in names {
        match parse_file_name(&name) {
            Ok(file) => files.extend(file),
            Err(problem) => problems.push(problem),
        }
    }
    problems.extend(check_set(&files));
    let mut migrations: BTreeMap<i64, Migration> = BTreeMap::new();
    files.sort_by_key(|it| it.direction);
    for file in files {
        let path = dir.join(&file.name);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => Cow::Owned(text),
            Err(error) => {
                problems.push(unreadable(&path, error));
                continue;
            }
        };
        match file.direction {
            Direction::Up => {
                let migration = Migration {
                    number: file.number,
                    description: file.description.into(),
                    file: file.name.into(),
                    sql: text,
                    down: None,
                };
                migrations.insert(file.number, migration);
            }
            Direction::Down => {
                if let Some(migration) = migrations.get_mut(&file.number) {
                    migration.down = Some(text);
                }
            }
        }
    }
    if problems.is_empty() {
        Ok(migrations.into_values().collect())
    } else {
        let within = |problem: String| format!("{}: {problem}", dir.display());
        Err(problems.into_iter().map(within).collect())
    }
}
