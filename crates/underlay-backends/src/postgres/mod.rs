//! PostgreSQL: how to connect to what an infra config names, and why that does not work.
//!
//! There is no trait here as there is for the other primitives: a database is used through `sqlx` itself. This file
//! knows addresses, roles and TLS; what is done to the schema is [`migrations`]' business, and Underlay's own tables are
//! [`tables`]'.

pub mod handled;
pub mod lease;
pub mod migrations;
pub mod outbox;
pub mod tables;

use std::io::ErrorKind as Io;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions as _, PgConnection};
use tokio::time::Instant;
use underlay_model::duration;
use underlay_model::infra::{ClientCert, SecretText, SqlDatabase, SqlServer, TlsConfig};

use crate::error::chain;

/// The wait between two attempts to connect to a server that does not answer yet.
const RETRY: Duration = Duration::from_millis(100);
/// PostgreSQL cuts names, such as `application_name`, at this many bytes.
const NAME_LENGTH: usize = 63;

/// How the service connects to a declared database.
///
/// # Errors
///
/// The field of the server's entry that cannot be honoured, with its path inside of that.
pub fn service_options(
    server: &SqlServer,
    name: &str,
    database: &SqlDatabase,
) -> Result<PgConnectOptions, String> {
    let account = Account::of_service(name, database);
    let options = address(&server.host)?;
    let options = tls(options, "", server.tls_config.as_ref(), &account)?;
    pooled(server, account.on(options, name, database), database)
}

/// How migrations are applied to a declared database: as its migrator, or else as the service.
///
/// # Errors
///
/// As [`service_options`]; besides, a pooler that nothing leads around.
pub fn migrator_options(
    server: &SqlServer,
    name: &str,
    database: &SqlDatabase,
) -> Result<PgConnectOptions, String> {
    let migrator = database.migrator.as_ref();
    let host = migrator.and_then(|it| it.host.as_deref());
    if server.pooled && host.is_none() {
        return Err(format!(
            "databases.{name}.migrator.host: is missing; migrations hold a lock on their connection, which a pooler would \
             hand over to others, so they need the server's own address"
        ));
    }
    let account = match migrator {
        Some(migrator) => Account {
            at: format!("databases.{name}.migrator"),
            username: &migrator.username,
            password: &migrator.password,
            client_cert: migrator.client_cert.as_ref(),
        },
        None => Account::of_service(name, database),
    };
    let options = address(host.unwrap_or(&server.host))?;
    let options = tls(options, "", server.tls_config.as_ref(), &account)?;
    Ok(account.on(options, name, database))
}

/// How the service connects to the read replica of a declared database; `None` if there is none.
///
/// # Errors
///
/// As [`service_options`].
pub fn replica_options(
    server: &SqlServer,
    name: &str,
    database: &SqlDatabase,
) -> Result<Option<PgConnectOptions>, String> {
    let Some(replica) = &server.read_replica else {
        return Ok(None);
    };
    let account = Account::of_service(name, database);
    let within = "read_replica.";
    let options = address(&replica.host).map_err(|why| format!("{within}{why}"))?;
    let config = replica.tls_config.as_ref().or(server.tls_config.as_ref());
    let options = tls(options, within, config, &account)?;
    pooled(server, account.on(options, name, database), database).map(Some)
}

/// Who connects.
struct Account<'a> {
    /// Where it stands in the server's entry.
    at: String,
    username: &'a str,
    password: &'a SecretText,
    client_cert: Option<&'a ClientCert>,
}

impl<'a> Account<'a> {
    fn of_service(name: &str, database: &'a SqlDatabase) -> Self {
        Self {
            at: format!("databases.{name}"),
            username: &database.username,
            password: &database.password,
            client_cert: database.client_cert.as_ref(),
        }
    }

    fn on(
        &self,
        options: PgConnectOptions,
        name: &str,
        database: &SqlDatabase,
    ) -> PgConnectOptions {
        options
            .username(self.username)
            .password(self.password.expose())
            .database(database.name.as_deref().unwrap_or(name))
            .application_name("underlay")
    }
}

/// `options` with the name that the server's own views show for these connections.
pub fn with_application_name(options: PgConnectOptions, name: &str) -> PgConnectOptions {
    let end = (0..=name.len().min(NAME_LENGTH))
        .rev()
        .find(|it| name.is_char_boundary(*it))
        .unwrap_or_default();
    options.application_name(&name[..end])
}

fn address(text: &str) -> Result<PgConnectOptions, String> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port))
            if !port.ends_with(']') && (!host.contains(':') || host.ends_with(']')) =>
        {
            (
                host,
                port.parse()
                    .map_err(|_| format!("host: `{port}` is not a port"))?,
            )
        }
        _ => (text, 5432),
    };
    let options = PgConnectOptions::new_without_pgpass().port(port);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok(if host.starts_with('/') {
        options.socket(host)
    } else {
        options.host(host)
    })
}

/// What a pooler and the server are told about the statements.
fn pooled(
    server: &SqlServer,
    options: PgConnectOptions,
    database: &SqlDatabase,
) -> Result<PgConnectOptions, String> {
    if server.pooled {
        // A pooler refuses what it cannot keep apart for each client, and the server's default is as exact. Statements stay
        // cached: sqlx gives each a name even without a cache, and would then never close it.
        return Ok(options.extra_float_digits(None));
    }
    match &database.statement_timeout {
        None => Ok(options),
        Some(text) => {
            let timeout = duration::parse(text)?.as_millis().to_string();
            Ok(options.options([("statement_timeout", timeout)]))
        }
    }
}

/// `within` is where the TLS settings stand in the server's entry.
fn tls(
    options: PgConnectOptions,
    within: &str,
    config: Option<&TlsConfig>,
    account: &Account<'_>,
) -> Result<PgConnectOptions, String> {
    let config = config.cloned().unwrap_or_default();
    if config.disabled {
        return Ok(options.ssl_mode(PgSslMode::Disable));
    }
    if !cfg!(feature = "postgres-tls") {
        return Err(format!(
            "{within}tls_config: this binary has no TLS; build it with the feature `tls` of underlay, or say \
             `\"tls_config\": {{\"disabled\": true}}` for a server that is reached without it"
        ));
    }
    let mode = if config.disable_ca_validation {
        PgSslMode::Require
    } else if config.disable_tls_hostname_verification {
        PgSslMode::VerifyCa
    } else {
        PgSslMode::VerifyFull
    };
    let mut options = options.ssl_mode(mode);
    if let Some(ca) = config.ca {
        pem(&ca, "CERTIFICATE").map_err(|why| format!("{within}tls_config.ca: {why}"))?;
        options = options.ssl_root_cert_from_pem(ca.into_bytes());
    }
    let (client, at) = match account.client_cert {
        Some(client) => (Some(client), account.at.clone()),
        None => (config.client_cert.as_ref(), format!("{within}tls_config")),
    };
    if let Some(client) = client {
        let key = client.key.expose();
        pem(&client.cert, "CERTIFICATE").map_err(|why| format!("{at}.client_cert.cert: {why}"))?;
        pem(key, "PRIVATE KEY").map_err(|why| format!("{at}.client_cert.key: {why}"))?;
        options = options
            .ssl_client_cert_from_pem(&client.cert)
            .ssl_client_key_from_pem(key);
    }
    Ok(options)
}

/// Whether a text is PEM of this kind. What reads it later takes any other text for an empty list.
fn pem(text: &str, kind: &str) -> Result<(), String> {
    let begins = |line: &str| {
        let label = line.trim().strip_prefix("-----BEGIN ");
        let label = label.and_then(|it| it.strip_suffix("-----"));
        label.is_some_and(|it| it.ends_with(kind) && !it.starts_with("ENCRYPTED"))
    };
    if text.lines().any(begins) {
        return Ok(());
    }
    let kind = kind.to_lowercase();
    Err(format!(
        "is no {kind} in PEM; give the text itself with its line breaks, not encrypted and not the path of a file"
    ))
}

/// Connects, trying again until `deadline` while the server is not there yet or is starting. `waiting` hears of each
/// failed attempt.
///
/// # Errors
///
/// One sentence that says why, and what to do; see [`explain`].
pub async fn connect(
    options: &PgConnectOptions,
    deadline: Instant,
    mut waiting: impl FnMut(&str),
) -> Result<PgConnection, String> {
    let started = Instant::now();
    let mut last = None;
    loop {
        match tokio::time::timeout_at(deadline, options.connect()).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => {
                let reason = explain(&error, options);
                if !may_come_up(&error) || Instant::now() + RETRY >= deadline {
                    return Err(reason);
                }
                waiting(&reason);
                last = Some(reason);
            }
            Err(_) => {
                let waited = started.elapsed();
                return Err(last.unwrap_or_else(|| {
                    format!(
                        "no answer within {waited:.0?}; is the address right, and does a firewall let it through?"
                    )
                }));
            }
        }
        tokio::time::sleep(RETRY).await;
    }
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
        // cannot_connect_now, too_many_connections
        sqlx::Error::Database(error) => {
            matches!(error.code().as_deref(), Some("57P03" | "53300"))
        }
        _ => false,
    }
}

/// Why a database cannot be used, in one sentence with what to do; never a password.
pub fn explain(error: &sqlx::Error, options: &PgConnectOptions) -> String {
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
            // What rustls finds wrong in a handshake.
            Io::InvalidData => tls_failed(&error.to_string()),
            _ => format!("the server could not be reached: {error}"),
        },
        sqlx::Error::Tls(error) => tls_failed(&chain(error.as_ref())),
        sqlx::Error::Configuration(error) => chain(error.as_ref()),
        sqlx::Error::Database(error) => match error.code().as_deref() {
            Some("28P01") => {
                format!("the server refused the password of the role `{role}`; correct it")
            }
            Some("28000") => {
                let reason = error.message();
                let advice = advice(reason, NOT_LET_IN);
                format!("the server does not let the role `{role}` in: {reason}{advice}")
            }
            Some("3D000") => {
                format!("the server has no database `{database}`; create it, or correct `name`")
            }
            Some("53300") => {
                "the server has no connection left; raise its max_connections or lower ours"
                    .to_owned()
            }
            Some("53100") => format!(
                "the server's disk is full; free some of it: {}",
                error.message()
            ),
            Some("08P01") if error.message().starts_with("unsupported startup parameter") => {
                format!(
                    "a pooler answered: {}; say `\"pooled\": true` for it",
                    error.message()
                )
            }
            // duplicate_prepared_statement, invalid_sql_statement_name
            Some("42P05" | "26000") => format!(
                "a pooler mixes up the prepared statements of its clients: {}; PgBouncer keeps them apart from 1.21 on, \
                 with `max_prepared_statements` above 0",
                error.message()
            ),
            _ => error.message().to_owned(),
        },
        error => chain(error),
    }
}

/// What to do about a reason, by a part of its text. sqlx hands out what rustls and the server say, but not as types.
type Advice = [(&'static str, &'static str)];

/// By what sqlx and rustls say.
const TLS_FAILED: &Advice = &[
    (
        "not valid for name",
        "use a name that is in it as `host`, or say `disable_tls_hostname_verification`",
    ),
    (
        "UnknownIssuer",
        "its authority is not known: give that as `tls_config.ca`",
    ),
    (
        "BadSignature",
        "its authority is another one than that of the same name in `tls_config.ca`: give the server's",
    ),
    (
        "CaUsedAsEndEntity",
        "it is an authority's own: give the server another one, which that has signed",
    ),
    (
        "certificate expired",
        "renew the server's certificate, or correct this machine's clock",
    ),
    (
        "certificate not valid yet",
        "correct this machine's clock, or the server's certificate",
    ),
    (
        "does not support TLS",
        "turn it on there, or say `\"tls_config\": {\"disabled\": true}` if the way to it is safe",
    ),
    (
        "keys may not be consistent",
        "the key in `client_cert` is not that of its certificate",
    ),
    ("received fatal alert: UnknownCA", CLIENT_AUTHORITY),
    // The server knows an authority of the same name.
    ("received fatal alert: DecryptError", CLIENT_AUTHORITY),
];

const CLIENT_AUTHORITY: &str = "the server does not trust the authority of our `client_cert`: give one that an authority in \
                                its ssl_ca_file has signed";

/// By what the server says when its pg_hba.conf refuses somebody.
const NOT_LET_IN: &Advice = &[
    (
        "requires a valid client certificate",
        "give one as `client_cert`",
    ),
    (
        "certificate authentication failed",
        "the common name of `client_cert` must be the role",
    ),
    (
        "no encryption",
        "it may want TLS: take `tls_config.disabled` away",
    ),
];

fn tls_failed(reason: &str) -> String {
    let advice = advice(reason, TLS_FAILED);
    format!("TLS with the server failed: {reason}{advice}")
}

/// What stands after a reason: what to do, if that is known.
fn advice(reason: &str, known: &Advice) -> String {
    known
        .iter()
        .find(|(part, _)| reason.contains(part))
        .map(|(_, advice)| format!("; {advice}"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, host, port) in [
            ("db", "db", 5432),
            ("db:6000", "db", 6000),
            ("[::1]:6000", "::1", 6000),
            ("::1", "::1", 5432),
            ("[::1]", "::1", 5432),
        ] {
            let options = address(text).unwrap();
            assert_eq!(
                (options.get_host(), options.get_port()),
                (host, port),
                "{text}"
            );
        }
        let options = address("/run/postgresql:5433").unwrap();
        assert_eq!(
            options.get_socket().unwrap().to_str(),
            Some("/run/postgresql")
        );
        assert_eq!(options.get_port(), 5433);
        assert_eq!(address("db:x").unwrap_err(), "host: `x` is not a port");
    }

    #[test]
    fn names_are_cut_between_characters() {
        let named = |name: &str| {
            let options = with_application_name(PgConnectOptions::new_without_pgpass(), name);
            options.get_application_name().unwrap().to_owned()
        };
        assert_eq!(named("shop"), "shop");
        assert_eq!(named(&"é".repeat(40)), "é".repeat(31));
    }
}
