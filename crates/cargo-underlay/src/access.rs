//! The way into one database: as whom, with which password and certificates, and how that is written as a URI. Does not
//! know which environment the database is in.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::{
    PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};
use tokio::time::Instant;
use underlay_backends::postgres;
use underlay_model::infra::{ClientCert, SecretText, SqlDatabase, SqlServer, TlsConfig};

use crate::failure::Failure;

/// How long a server may take to answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// How to get into one database.
pub(crate) struct Access {
    /// The declared name.
    pub(crate) name: String,
    pub(crate) options: PgConnectOptions,
    pub(crate) password: SecretText,
    pub(crate) tls: TlsConfig,
    pub(crate) client_cert: Option<ClientCert>,
    /// Whether a pooler stands before the server.
    pub(crate) pooled: bool,
}

impl Access {
    /// How the application gets into a database.
    ///
    /// # Errors
    ///
    /// What of the server's entry in the infra config cannot be honoured.
    pub(crate) fn of_service(
        server: &SqlServer,
        name: &str,
        database: &SqlDatabase,
    ) -> Result<Self, String> {
        let tls = server.tls_config.clone().unwrap_or_default();
        let client = database.client_cert.as_ref();
        Ok(Self {
            name: name.to_owned(),
            options: postgres::service_options(server, name, database)?,
            password: database.password.clone(),
            client_cert: client.or(tls.client_cert.as_ref()).cloned(),
            tls,
            pooled: server.pooled,
        })
    }

    /// Connects, trying again for a while if the server is only starting.
    ///
    /// # Errors
    ///
    /// Why that is not possible, with what to do.
    pub(crate) async fn connect(&self) -> Result<PgConnection, Failure> {
        let deadline = Instant::now() + PATIENCE;
        let connected = postgres::connect(&self.options, deadline, |_| {}).await;
        connected.map_err(|why| self.failure(&why))
    }

    /// What stands against something in this database.
    pub(crate) fn failure(&self, why: &str) -> Failure {
        Failure::error(format!(
            "database `{}` on {}: {why}",
            self.name,
            self.address()
        ))
    }

    /// `host:port`, or the socket's folder.
    pub(crate) fn address(&self) -> String {
        match self.options.get_socket() {
            Some(folder) => folder.display().to_string(),
            None => format!("{}:{}", self.host(), self.options.get_port()),
        }
    }

    /// The host as it stands in a URL.
    fn host(&self) -> String {
        let host = self.options.get_host();
        if host.contains(':') {
            format!("[{host}]")
        } else {
            host.to_owned()
        }
    }

    /// The connection URI, with the password, as libpq and sqlx read it.
    pub(crate) fn uri(&self) -> String {
        let options = &self.options;
        let mode = ssl_mode(options.get_ssl_mode());
        match options.get_socket() {
            None => self.uri_at(&self.host(), options.get_port(), mode),
            Some(folder) => {
                let mut uri = format!(
                    "postgresql:///{}?host={}&port={}&user={}",
                    encoded(options.get_database().unwrap_or_default()),
                    encoded(&folder.to_string_lossy()).replace("%2F", "/"),
                    options.get_port(),
                    encoded(options.get_username()),
                );
                if !self.password.expose().is_empty() {
                    uri.push_str(&format!("&password={}", encoded(self.password.expose())));
                }
                uri.push_str(&format!("&sslmode={mode}"));
                uri
            }
        }
    }

    /// The URI of the same database behind another address.
    pub(crate) fn uri_at(&self, host: &str, port: u16, mode: &str) -> String {
        let password = match self.password.expose() {
            "" => String::new(),
            password => format!(":{}", encoded(password)),
        };
        format!(
            "postgresql://{}{password}@{host}:{port}/{}?sslmode={mode}",
            encoded(self.options.get_username()),
            encoded(self.options.get_database().unwrap_or_default()),
        )
    }
}

/// As libpq calls it.
pub(crate) fn ssl_mode(mode: PgSslMode) -> &'static str {
    match mode {
        PgSslMode::Disable => "disable",
        PgSslMode::Allow => "allow",
        PgSslMode::Prefer => "prefer",
        PgSslMode::Require => "require",
        PgSslMode::VerifyCa => "verify-ca",
        PgSslMode::VerifyFull => "verify-full",
    }
}

/// All but what RFC 3986, section 2.3, calls unreserved.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A text as it can stand anywhere in a URL.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    #[test]
    fn sqlx_reads_the_uri_as_it_was_meant() {
        let check = |options: PgConnectOptions, expected: &str| {
            let access = Access {
                name: "orders".to_owned(),
                options: options
                    .username("a b@")
                    .database("é/?")
                    .ssl_mode(PgSslMode::Require),
                password: SecretText("p@s:/%?&".to_owned()),
                tls: TlsConfig::default(),
                client_cert: None,
                pooled: false,
            };
            let uri = access.uri();
            assert_eq!(uri, expected);
            let read = PgConnectOptions::from_str(&uri).unwrap();
            let of = |it: &PgConnectOptions| {
                (
                    it.get_socket().cloned(),
                    it.get_port(),
                    it.get_username().to_owned(),
                    it.get_database().map(str::to_owned),
                    ssl_mode(it.get_ssl_mode()),
                )
            };
            assert_eq!(of(&read), of(&access.options));
            assert!(
                sqlx::ConnectOptions::to_url_lossy(&read)
                    .password()
                    .is_some()
            );
        };
        let new = PgConnectOptions::new_without_pgpass;
        check(
            new().host("::1").port(6000),
            "postgresql://a%20b%40:p%40s%3A%2F%25%3F%26@[::1]:6000/%C3%A9%2F%3F?sslmode=require",
        );
        check(
            new().socket("/run/my pg").port(5433),
            "postgresql:///%C3%A9%2F%3F?host=/run/my%20pg&port=5433&user=a%20b%40&password=p%40s%3A%2F%25%3F%26\
             &sslmode=require",
        );
    }
}
