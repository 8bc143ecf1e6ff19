//! Database and cache servers in the infra config, with TLS and accounts. It does not connect to any.

use std::collections::BTreeMap;

use serde::Serialize;

use super::SecretText;
use super::read::readable;

/// A database server, with the databases on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SqlServer {
    /// `host`, `host:port`, or the folder of a Unix socket when it starts with `/`; a port may follow that, too.
    pub host: String,
    /// TLS. Absent: on, with the authorities that Mozilla trusts; the provisioner writes `disabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsConfig>,
    /// A copy of this server that only reads; absent: reads go to this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_replica: Option<SqlReplica>,
    /// `true`: the address is that of a pooler which hands a connection over after each transaction, such as PgBouncer or
    /// Neon's `-pooler` host. It must keep the prepared statements of its clients apart, as PgBouncer does from 1.21 on
    /// with `max_prepared_statements` above 0. Default `false`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub pooled: bool,
    /// The databases, by declared name.
    #[serde(default)]
    pub databases: BTreeMap<String, SqlDatabase>,
}

/// A copy of a database server that only reads, with the same databases and roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SqlReplica {
    /// As that of the server.
    pub host: String,
    /// TLS. Absent: as for the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsConfig>,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A database on a server, and who uses it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SqlDatabase {
    /// The name on the server; absent: the declared name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The most connections that the pool opens; absent: 30. When read, 0 is as absent, as in Encore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// The connections that the pool keeps open. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_connections: Option<u32>,
    /// The role that the service uses.
    pub username: String,
    /// Its password.
    pub password: SecretText,
    /// A client certificate, when the server wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<ClientCert>,
    /// How long a caller waits for a free connection, such as `10s`. Default 10 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acquire_timeout: Option<String>,
    /// After how long the server cancels a statement, such as `30s`; absent: as the server has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement_timeout: Option<String>,
    /// The role that applies migrations and owns what they create; absent: the service's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migrator: Option<SqlMigrator>,
}

impl SqlDatabase {
    /// The most connections that a pool opens when nothing is said: PostgreSQL takes a hundred by default, and one
    /// instance must leave some for the next, for its own relay, and for people.
    pub const MAX_CONNECTIONS: u32 = 30;
}

/// The role that applies the migrations of a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SqlMigrator {
    /// Another address of the same server, without a pooler before it; absent: the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The role.
    pub username: String,
    /// Its password.
    pub password: SecretText,
    /// A client certificate, when the server wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<ClientCert>,
}

/// TLS towards a server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// No TLS.
    pub disabled: bool,
    /// A certificate authority, in PEM, besides those that Mozilla trusts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// A client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_cert: Option<ClientCert>,
    /// Accept a certificate for another host name.
    pub disable_tls_hostname_verification: bool,
    /// Accept a certificate from any authority.
    pub disable_ca_validation: bool,
}

/// A client certificate with its key, both in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ClientCert {
    /// The certificate.
    pub cert: String,
    /// The key.
    pub key: SecretText,
}

/// A cache cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Redis {
    /// `host` or `host:port`; not used when `in_memory`.
    pub host: String,
    /// The database, 0 to 15.
    pub database_index: u8,
    /// Who we are to the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<RedisAuth>,
    /// What every key on the server starts with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_prefix: Option<String>,
    /// TLS. Absent: on, as in Encore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsConfig>,
    /// The most connections; absent: 100. When read, 0 is as absent, as in Encore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// The connections kept open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_connections: Option<u32>,
    /// The cache lives in this process and is empty at each start.
    pub in_memory: bool,
}

/// Who we are to a cache server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum RedisAuth {
    /// A user of Redis's access control lists.
    Acl {
        /// The user.
        username: String,
        /// Its password.
        password: SecretText,
    },
    /// The server's one password.
    AuthString {
        /// The password.
        auth_string: SecretText,
    },
}

readable!(struct SqlServer { host, tls_config, read_replica, pooled or false, databases });
readable!(struct SqlReplica { host, tls_config });
readable!(struct SqlDatabase {
    name,
    max_connections,
    min_connections,
    username,
    password,
    client_cert,
    acquire_timeout,
    statement_timeout,
    migrator,
});
readable!(struct SqlMigrator { host, username, password, client_cert });
readable!(struct TlsConfig {
    disabled,
    ca,
    client_cert,
    disable_tls_hostname_verification,
    disable_ca_validation,
});
readable!(struct ClientCert { cert, key });
readable!(struct Redis {
    host or String::new(),
    database_index or 0,
    auth,
    key_prefix,
    tls_config,
    max_connections,
    min_connections,
    in_memory,
});
readable!(enum RedisAuth "kind of Redis account" {
    Acl "acl" { username, password },
    AuthString "auth_string" { auth_string },
});
