//! PostgreSQL for this machine: the ladder of ways to get a server, taken from the top.

#[cfg(unix)]
mod account;
mod admin;
mod binaries;
mod databases;
mod docker;
mod image;
mod managed;
#[cfg(unix)]
mod native;
#[cfg(not(unix))]
#[path = "native_absent.rs"]
mod native;
#[cfg(unix)]
mod place;
mod record;
mod roles;
#[cfg(unix)]
mod supervisor;
mod test_cluster;
mod url;

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use underlay_model::infra::TlsConfig;

#[cfg(not(unix))]
pub(crate) use self::native::{data_folders, running_natives, stop_natives};
#[cfg(unix)]
pub(crate) use self::place::{data_folders, running_natives, stop_natives};
use self::record::Record;
#[cfg(unix)]
pub(crate) use self::supervisor::Guard;
pub use self::{
    databases::recreate_databases, managed::install_postgres, test_cluster::TestCluster,
};
pub(crate) use self::{
    databases::{Access, names as database_names, provide as provide_databases},
    roles::Role,
};
use crate::{
    Kind,
    checkout::Checkout,
    error::{Error, ErrorKind},
    lock,
    report::{Event, Reporter},
    settings::{Pin, PostgresSettings},
};

/// The role that the servers we start have; it may do everything.
pub(crate) const USER: &str = "underlay";

/// What makes a server fast that holds nothing of value.
const TEST_SETTINGS: [&str; 8] = [
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "autovacuum=off",
    "max_connections=500",
    "max_wal_size=256MB",
];

/// A way to get a PostgreSQL server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// A URL that the user gave.
    Url,
    /// A container.
    Docker,
    /// Binaries on this machine.
    Native,
    /// Binaries that we downloaded.
    Managed,
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url => "url",
            Self::Docker => "docker",
            Self::Native => "native",
            Self::Managed => "managed",
        })
    }
}

/// Which PostgreSQL a start uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PostgresUsed {
    /// How it was got.
    pub rung: Rung,
    /// The server's version, such as `17.6`.
    pub version: String,
    /// For each rung above, why it was not taken.
    pub why_not_above: Vec<String>,
    /// Where it is: `host:port`, or a socket's folder; never with a password.
    pub address: String,
    /// What the rung took: the folder of the binaries, or the image.
    pub detail: String,
}

impl PostgresUsed {
    /// The one line that says which server this is, and why not the one above.
    pub fn line(&self) -> String {
        let detail = if self.detail.is_empty() {
            &self.address
        } else {
            &self.detail
        };
        let mut line = format!("postgres: {} {} ({detail})", self.rung, self.version);
        if !self.why_not_above.is_empty() {
            line.push_str(", because ");
            line.push_str(&self.why_not_above.join(", and "));
        }
        line
    }
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Address {
    /// A Unix socket.
    Socket {
        /// The socket's folder.
        folder: PathBuf,
        /// The number in the socket's name.
        port: u16,
    },
    /// A port.
    Tcp {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
}

impl Address {
    /// In the form that `sql_servers[].host` of the infra config has.
    pub(crate) fn host(&self) -> String {
        match self {
            Self::Socket { folder, port: 5432 } => folder.display().to_string(),
            Self::Socket { folder, port } => format!("{}:{port}", folder.display()),
            Self::Tcp { host, port } => format!("{host}:{port}"),
        }
    }
}

/// What a rung works for.
pub(crate) struct Scope<'a> {
    pub(crate) checkout: &'a Checkout,
    pub(crate) namespace: &'a str,
    pub(crate) kind: Kind,
    pub(crate) application: &'a str,
    pub(crate) settings: &'a PostgresSettings,
    pub(crate) reporter: &'a dyn Reporter,
}

impl Scope<'_> {
    /// The namespace's folder in the checkout's state.
    pub(crate) fn folder(&self) -> PathBuf {
        self.checkout.state.join(self.namespace)
    }
}

/// A server that a rung gave.
pub(crate) struct Server {
    pub(crate) rung: Rung,
    pub(crate) address: Address,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) detail: String,
    /// How to connect to its `postgres` database, or the one in the user's URL.
    pub(crate) options: PgConnectOptions,
    /// TLS towards it; absent: none.
    pub(crate) tls: Option<TlsConfig>,
    #[cfg(unix)]
    pub(crate) guard: Option<supervisor::Guard>,
}

/// Why a rung gives no server.
pub(crate) enum Refusal {
    /// It is not to be had here: the next one is tried.
    Unavailable(String),
    /// It is here and broken, perhaps with data in it: trying the next one would hide that.
    Failed(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A server with an open connection to it, and how it came about.
pub(crate) struct Taken {
    pub(crate) server: Server,
    pub(crate) connection: PgConnection,
    pub(crate) used: PostgresUsed,
}

/// Takes the first rung that works, or the one that the user insists on.
pub(crate) async fn take(scope: &Scope<'_>) -> Result<Taken, Error> {
    if let Some(Pin::Url { url, origin }) = &scope.settings.pinned {
        let (server, connection) = match url::take(url, origin).await {
            Ok(taken) => taken,
            Err(Refusal::Failed(error)) => return Err(error),
            Err(Refusal::Unavailable(reason)) => {
                return Err(nothing_works(scope, &[Rung::Url], &[reason]));
            }
        };
        let used = used(&server, &connection, Vec::new());
        scope.reporter.report(Event::Chosen { line: &used.line() });
        return Ok(Taken {
            server,
            connection,
            used,
        });
    }
    if let Some(taken) = join(scope).await? {
        return Ok(taken);
    }
    let path = scope.folder().join(format!("{}.lock", scope.kind.stem()));
    let cause = "another process of this checkout that is starting PostgreSQL";
    let lock = lock::take(&path, cause, scope.reporter).await?;
    let taken = match join(scope).await? {
        Some(taken) => Ok(taken),
        None => climb(scope).await,
    };
    drop(lock);
    taken
}

/// Tries the rungs; the caller holds the start lock.
async fn climb(scope: &Scope<'_>) -> Result<Taken, Error> {
    let record = record::read(scope.checkout, scope.namespace, scope.kind)?;
    let rungs: &[Rung] = match &scope.settings.pinned {
        None => &[Rung::Docker, Rung::Native, Rung::Managed],
        Some(Pin::Url { .. }) => &[Rung::Url],
        Some(Pin::Docker) => &[Rung::Docker],
        Some(Pin::Native) => &[Rung::Native],
        Some(Pin::Managed) => &[Rung::Managed],
    };
    let mut reasons: Vec<String> = Vec::new();
    for rung in rungs {
        match take_rung(scope, *rung).await {
            Ok((server, connection)) => {
                return finish(scope, server, connection, reasons, record.as_ref());
            }
            Err(Refusal::Failed(error)) => return Err(error),
            Err(Refusal::Unavailable(reason)) => reasons.push(reason),
        }
    }
    Err(nothing_works(scope, rungs, &reasons))
}

fn finish(
    scope: &Scope<'_>,
    server: Server,
    connection: PgConnection,
    why_not_above: Vec<String>,
    earlier: Option<&Record>,
) -> Result<Taken, Error> {
    let used = used(&server, &connection, why_not_above);
    scope.reporter.report(Event::Chosen { line: &used.line() });
    if let (Some(port), Rung::Native | Rung::Managed) = (scope.settings.port, server.rung) {
        let message = format!(
            "`port = {port}` under [postgres] is for containers: this server listens on a socket of its own, without a port"
        );
        scope.reporter.report(Event::Notice { message: &message });
    }
    if let Some(earlier) = earlier
        && earlier.rung != server.rung
        && scope.kind == Kind::Run
    {
        let message = format!(
            "the data of earlier runs lies with postgres {} ({}) and is not seen by this one",
            earlier.rung, earlier.detail
        );
        scope.reporter.report(Event::Notice { message: &message });
    }
    let record = Record {
        checkout: scope.checkout.id.clone(),
        rung: server.rung,
        detail: server.detail.clone(),
        version: used.version.clone(),
        why_not_above: used.why_not_above.clone(),
        address: server.address.clone(),
        user: server.user.clone(),
        password: server.password.clone(),
    };
    record::write(scope.checkout, scope.namespace, scope.kind, &record)?;
    Ok(Taken {
        server,
        connection,
        used,
    })
}

fn used(server: &Server, connection: &PgConnection, why_not_above: Vec<String>) -> PostgresUsed {
    PostgresUsed {
        rung: server.rung,
        version: admin::version(connection),
        why_not_above,
        address: server.address.host(),
        detail: server.detail.clone(),
    }
}

/// The warm start: the server of the last start, when it still is what the settings ask for and answers.
async fn join(scope: &Scope<'_>) -> Result<Option<Taken>, Error> {
    let Some(record) = record::read(scope.checkout, scope.namespace, scope.kind)? else {
        return Ok(None);
    };
    let is_wanted = match &scope.settings.pinned {
        None => true,
        Some(Pin::Url { .. }) => false,
        Some(Pin::Docker) => record.rung == Rung::Docker,
        Some(Pin::Native) => record.rung == Rung::Native,
        Some(Pin::Managed) => record.rung == Rung::Managed,
    };
    if !is_wanted {
        return Ok(None);
    }
    let joined = match record.rung {
        Rung::Url => None,
        Rung::Docker => docker::join(scope, &record).await?,
        Rung::Native | Rung::Managed
            if !binaries::matches(&record.version, scope.settings.version.as_deref()) =>
        {
            None
        }
        Rung::Native | Rung::Managed => native::join(scope, &record).await?,
    };
    Ok(joined.map(|(server, connection)| {
        let used = used(&server, &connection, record.why_not_above);
        scope.reporter.report(Event::Chosen { line: &used.line() });
        Taken {
            server,
            connection,
            used,
        }
    }))
}

async fn take_rung(scope: &Scope<'_>, rung: Rung) -> Result<(Server, PgConnection), Refusal> {
    match rung {
        Rung::Url => Err(Refusal::Unavailable("no URL is given".to_owned())),
        Rung::Docker => docker::take(scope).await,
        Rung::Native => {
            let found = binaries::find(scope.settings.version.as_deref())
                .await
                .map_err(Refusal::Unavailable)?;
            native::take(scope, Rung::Native, &found).await
        }
        Rung::Managed if !native::IS_SUPPORTED => Err(Refusal::Unavailable(
            "running PostgreSQL from binaries is not supported on this platform yet".to_owned(),
        )),
        Rung::Managed => {
            let provided =
                managed::provide(scope.settings.version.as_deref(), scope.reporter).await;
            let binaries = provided.map_err(|error| Refusal::Unavailable(error.to_string()))?;
            native::take(scope, Rung::Managed, &[binaries]).await
        }
    }
}

/// Whether the last server of a namespace was a container, for either kind.
pub(crate) fn is_in_docker(checkout: &Checkout, namespace: &str) -> bool {
    [Kind::Run, Kind::Test].into_iter().any(|kind| {
        // A record that cannot be read says nothing; removing it tells why.
        let record = record::read(checkout, namespace, kind);
        matches!(
            record,
            Ok(Some(Record {
                rung: Rung::Docker,
                ..
            }))
        )
    })
}

/// What a machine offers without Docker.
pub(crate) struct PostgresOffer {
    /// Version and folder of each installed server, or why there is none.
    pub(crate) native: Result<Vec<(String, PathBuf)>, String>,
    /// The folder of the downloaded server, if there is one; or why there cannot be.
    pub(crate) managed: Result<Option<PathBuf>, String>,
}

/// Looks for servers on this machine without starting any.
pub(crate) async fn offer() -> PostgresOffer {
    let found = binaries::find(None).await;
    PostgresOffer {
        native: found.map(|found| {
            found
                .into_iter()
                .map(|it| (it.version, it.folder))
                .collect()
        }),
        managed: managed::cached().await.map_err(|error| error.to_string()),
    }
}

/// The free space, in kilobytes, where a folder lies; `None` where `df` does not say.
pub(crate) async fn free_kilobytes(folder: &std::path::Path) -> Option<u64> {
    let output = tokio::process::Command::new("df")
        .arg("-Pk")
        .arg(folder)
        .env("LC_ALL", "C")
        .output()
        .await
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

/// The line of a PostgreSQL program's output that says what is wrong.
fn first_problem(text: &str) -> String {
    let line = text
        .lines()
        .find(|line| line.contains("FATAL:") || line.contains("PANIC:") || line.contains("error:"))
        .or_else(|| text.lines().rfind(|line| !line.trim().is_empty()))
        .unwrap_or("it says nothing");
    let markers = ["FATAL:", "PANIC:", "error:"];
    let start = markers
        .iter()
        .find_map(|it| Some(line.find(it)? + it.len()))
        .unwrap_or_default();
    line[start..].trim().to_owned()
}

/// The one error that says everything that was tried, and the ways out.
fn nothing_works(scope: &Scope<'_>, rungs: &[Rung], reasons: &[String]) -> Error {
    if let ([rung], [reason]) = (rungs, reasons) {
        let message = format!(
            "postgres: {rung} is what the settings ask for, and it cannot be used: {reason}; mend that, or \
             let another way be found: remove `use` or `url` from underlay.toml and unset UNDERLAY_POSTGRES"
        );
        return Error::new(ErrorKind::NoPostgres, message);
    }
    let mut message = format!(
        "`{}` declares a database, and no PostgreSQL server can be had here:",
        scope.application
    );
    for (rung, reason) in rungs.iter().zip(reasons) {
        message.push_str(&format!("\n  {rung}: {reason}"));
    }
    message.push_str(
        "\nany one of these helps:\
         \n  start Docker\
         \n  install PostgreSQL, or set UNDERLAY_POSTGRES_BIN to the folder of its server binaries, \
         or download them once: cargo underlay postgres install\
         \n  give the URL of a server: UNDERLAY_POSTGRES=postgres://user:password@host/postgres, \
         or `url` under [postgres] in underlay.toml",
    );
    Error::new(ErrorKind::NoPostgres, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_matters_is_found() {
        for (text, expected) in [
            ("", "it says nothing"),
            (
                "a\n2026 [1] FATAL:  data directory has wrong ownership\nHINT: b\n",
                "data directory has wrong ownership",
            ),
            (
                "initdb: error: invalid locale name \"x\"\n",
                "invalid locale name \"x\"",
            ),
            ("sh: postgres: not found\n", "sh: postgres: not found"),
        ] {
            assert_eq!(first_problem(text), expected);
        }
    }
}
