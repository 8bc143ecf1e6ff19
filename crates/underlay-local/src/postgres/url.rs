//! The rung of those who have a server already: a URL in `underlay.toml` or `UNDERLAY_POSTGRES`.

use std::str::FromStr;

use percent_encoding::percent_decode_str;
use sqlx::{
    ConnectOptions,
    postgres::{PgConnectOptions, PgConnection, PgSslMode},
};
use underlay_model::infra::TlsConfig;

use super::{Address, Refusal, Rung, Server, admin};

/// Connects to the server; the refusals name it without its password.
pub(crate) async fn take(url: &str, origin: &str) -> Result<(Server, PgConnection), Refusal> {
    // The parser's error may quote what it was given, and that may be the password.
    let options = PgConnectOptions::from_str(url).map_err(|_| {
        Refusal::Unavailable(format!(
            "the URL given by {origin} cannot be read; write postgres://user:password@host:port/database, with special \
             characters in percent-encoding"
        ))
    })?;
    let password = options
        .to_url_lossy()
        .password()
        .map(|it| percent_decode_str(it).decode_utf8_lossy().into_owned())
        .unwrap_or_default();
    let options = match options.get_database() {
        Some(_) => options,
        None => options.database("postgres"),
    };
    let address = match options.get_socket() {
        Some(folder) => Address::Socket {
            folder: folder.clone(),
            port: options.get_port(),
        },
        None if options.get_host().starts_with('/') => Address::Socket {
            folder: options.get_host().into(),
            port: options.get_port(),
        },
        None => Address::Tcp {
            host: options.get_host().to_owned(),
            port: options.get_port(),
        },
    };
    let tls = tls_of(options.get_ssl_mode());
    let connection = admin::connect_once(&options).await.map_err(|problem| {
        Refusal::Unavailable(format!(
            "{} as {} (given by {origin}) refuses: {}",
            address.host(),
            options.get_username(),
            problem.text
        ))
    })?;
    let server = Server {
        rung: Rung::Url,
        address,
        user: options.get_username().to_owned(),
        password,
        detail: String::new(),
        options,
        tls,
        #[cfg(unix)]
        guard: None,
    };
    Ok((server, connection))
}

/// What the URL's `sslmode` means in the infra config; absent: none.
fn tls_of(mode: PgSslMode) -> Option<TlsConfig> {
    match mode {
        PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer => None,
        PgSslMode::Require => Some(TlsConfig {
            disable_ca_validation: true,
            disable_tls_hostname_verification: true,
            ..TlsConfig::default()
        }),
        PgSslMode::VerifyCa => Some(TlsConfig {
            disable_tls_hostname_verification: true,
            ..TlsConfig::default()
        }),
        PgSslMode::VerifyFull => Some(TlsConfig::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_url_that_cannot_be_read_keeps_its_password() {
        let Err(Refusal::Unavailable(reason)) =
            take("postgres://u:hidden@h:port/d", "UNDERLAY_POSTGRES").await
        else {
            panic!("it was read");
        };
        assert!(!reason.contains("hidden"), "{reason}");
        assert!(
            reason.starts_with("the URL given by UNDERLAY_POSTGRES cannot be read"),
            "{reason}"
        );
    }
}
