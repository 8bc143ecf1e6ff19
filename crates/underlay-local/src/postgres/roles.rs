//! The two roles that an application has on a server, as in production: one that migrates and owns the databases, and
//! one that the service uses, with rights to data only.
//!
//! It knows roles and how they are told from others; what they may do in a database is [`super::databases`]' business.

use std::{fs, io};

use sha2::{Digest, Sha256};
use sqlx::{
    AssertSqlSafe, Connection, Executor,
    postgres::{PgConnectOptions, PgConnection},
};
use underlay_model::infra::SecretText;

use super::{
    Rung, Scope, Server, USER,
    admin::{self, quoted},
};
use crate::{
    checkout::write_private,
    error::{Error, ErrorKind},
    namespace::DEFAULT_NAMESPACE,
};

/// The most bytes of a name in PostgreSQL.
pub(crate) const NAME_MAX: usize = 63;

/// A role that may log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) name: String,
    /// Empty where the socket's folder is the protection.
    pub(crate) password: SecretText,
}

impl Role {
    /// How this role connects where `admin` does.
    pub(crate) fn options(&self, admin: &PgConnectOptions) -> PgConnectOptions {
        admin
            .clone()
            .username(&self.name)
            .password(self.password.expose())
    }
}

/// The roles of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Roles {
    /// Owns the databases.
    pub(crate) migrator: Role,
    /// Reads and writes rows.
    pub(crate) service: Role,
    /// The comment by which both are known as ours, with the passwords that we know.
    pub(crate) mark: String,
}

/// The names of the migrator and the service.
///
/// A server of ours is one namespace's alone. A server of the user's is shared by checkouts and namespaces.
pub(crate) fn names(scope: &Scope<'_>, server: &Server) -> Result<[String; 2], Error> {
    let prefix = match (server.rung, scope.namespace) {
        (Rung::Docker | Rung::Native | Rung::Managed, _) => USER.to_owned(),
        (Rung::Url, DEFAULT_NAMESPACE) => format!("{USER}_{}", scope.checkout.id),
        (Rung::Url, namespace) => format!("{USER}_{}_{namespace}", scope.checkout.id),
    };
    let names = ["migrator", "service"].map(|role| format!("{prefix}_{role}"));
    if let Some(name) = names.iter().find(|name| name.len() > NAME_MAX) {
        let message = format!(
            "the roles of namespace `{}` would be named like `{name}`, and PostgreSQL cuts names at {NAME_MAX} bytes; \
             use a shorter namespace",
            scope.namespace
        );
        return Err(Error::new(ErrorKind::Namespace, message));
    }
    Ok(names)
}

/// The roles, if what their passwords come from is known; `None` on a server of the user's that this namespace has not
/// used yet.
pub(crate) fn known(scope: &Scope<'_>, server: &Server) -> Result<Option<Roles>, Error> {
    let secret = match server.rung {
        Rung::Native | Rung::Managed => Some(String::new()),
        // It is random and kept as long as the data, so that there is no second secret that could be lost.
        Rung::Docker => Some(server.password.clone()),
        Rung::Url => {
            let path = secret_path(scope);
            match fs::read_to_string(&path) {
                Ok(text) => Some(text.trim().to_owned()).filter(|it| !it.is_empty()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(Error::state("read", &path, &error)),
            }
        }
    };
    let names = names(scope, server)?;
    Ok(secret.map(|secret| from_secret(names, &secret)))
}

/// The roles, with a new secret where none is kept; the caller is the only one who prepares this server.
pub(crate) fn provide(scope: &Scope<'_>, server: &Server) -> Result<Roles, Error> {
    if let Some(roles) = known(scope, server)? {
        return Ok(roles);
    }
    let secret = hex::encode(rand::random::<[u8; 16]>());
    write_private(&secret_path(scope), secret.as_bytes())?;
    Ok(from_secret(names(scope, server)?, &secret))
}

/// Both kinds of servers of a namespace are the same server here, so they share it.
fn secret_path(scope: &Scope<'_>) -> std::path::PathBuf {
    scope.folder().join("postgres-url.password")
}

/// Each password is of its own, and none tells the secret or another.
fn from_secret([migrator, service]: [String; 2], secret: &str) -> Roles {
    let derived =
        |what: &str| hex::encode(&Sha256::digest(format!("underlay {what} {secret}"))[..16]);
    let role = |name: String| Role {
        password: SecretText(if secret.is_empty() {
            String::new()
        } else {
            derived(&name)
        }),
        name,
    };
    Roles {
        mark: format!("underlay {}", &derived("mark")[..16]),
        migrator: role(migrator),
        service: role(service),
    }
}

/// What the role that we have connected as may do.
pub(crate) struct Rights {
    pub(crate) is_superuser: bool,
    pub(crate) may_create_roles: bool,
    pub(crate) may_create_databases: bool,
}

impl Rights {
    /// Why roles and databases for them cannot be made with these rights; `None` when they can.
    pub(crate) fn lack(&self, connection: &PgConnection) -> Option<&'static str> {
        if self.is_superuser {
            return None;
        }
        if !self.may_create_roles {
            return Some("it has no CREATEROLE");
        }
        if !self.may_create_databases {
            return Some("it has no CREATEDB");
        }
        // There the schema `public` of every database is the superuser's, and open to everybody.
        let is_old = connection
            .server_version_num()
            .is_none_or(|it| it < 150_000);
        is_old.then_some("before PostgreSQL 15 it takes a superuser")
    }
}

/// Creates the roles, or gives them their passwords anew.
///
/// `exist` says which of them are there already.
pub(crate) async fn create(
    connection: &mut PgConnection,
    roles: &Roles,
    exist: [bool; 2],
    rights: &Rights,
) -> Result<(), sqlx::Error> {
    let has_new_grants = connection
        .server_version_num()
        .is_some_and(|it| it >= 160_000);
    let mut sql = String::new();
    if has_new_grants {
        // See `make_login_cheap` of the container: these passwords are random, too.
        sql.push_str("SET LOCAL scram_iterations = 1; ");
    }
    for (role, attributes, exists) in [
        (&roles.migrator, "LOGIN CREATEDB CREATEROLE", exist[0]),
        (&roles.service, "LOGIN", exist[1]),
    ] {
        let name = quoted(&role.name);
        let verb = if exists { "ALTER" } else { "CREATE" };
        sql.push_str(&format!("{verb} ROLE {name} {attributes}"));
        if !role.password.expose().is_empty() {
            sql.push_str(&format!(" PASSWORD '{}'", role.password.expose()));
        }
        sql.push_str(&format!("; COMMENT ON ROLE {name} IS '{}'; ", roles.mark));
        if !rights.is_superuser {
            // To give it a database, and to cut its connections, one has to be a member.
            let how = if has_new_grants {
                " WITH INHERIT TRUE, SET TRUE"
            } else {
                ""
            };
            sql.push_str(&format!("GRANT {name} TO CURRENT_USER{how}; "));
        }
    }
    let mut transaction = connection.begin().await?;
    transaction.execute(AssertSqlSafe(sql)).await?;
    transaction.commit().await
}

/// Why the service cannot log in: a server of the user's may know its users from elsewhere, such as a pooler's list or
/// the operating system.
pub(crate) async fn refusal(admin: &PgConnectOptions, roles: &Roles) -> Option<String> {
    for role in [&roles.migrator, &roles.service] {
        match admin::connect_once(&role.options(admin)).await {
            Ok(_) => {}
            // The login is through; that it may not enter this database is as it should be.
            Err(problem) if problem.is_denied => {}
            Err(problem) => return Some(problem.text),
        }
    }
    None
}

/// Removes roles that cannot be used.
pub(crate) async fn remove(connection: &mut PgConnection, roles: &Roles) {
    let sql = format!(
        "DROP ROLE {}, {}",
        quoted(&roles.migrator.name),
        quoted(&roles.service.name)
    );
    // Roles that stay are in nobody's way, and the reason why they are not used is what counts.
    let _ = connection.execute(AssertSqlSafe(sql)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_apart_and_not_shown() {
        let names = || ["m".to_owned(), "s".to_owned()];
        let roles = from_secret(names(), "0123");
        let passwords = [&roles.migrator, &roles.service].map(|it| it.password.expose());
        assert_ne!(passwords[0], passwords[1]);
        assert_eq!(passwords.map(str::len), [32, 32]);
        assert_eq!(from_secret(names(), "0123"), roles);
        let other = from_secret(names(), "0124");
        assert_ne!(other.mark, roles.mark);
        assert_ne!(other.service.password, roles.service.password);
        let shown = format!("{roles:?}");
        assert!(
            passwords.iter().all(|it| !shown.contains(it)) && !shown.contains("0123"),
            "{shown}"
        );
        assert_eq!(from_secret(names(), "").service.password.expose(), "");
    }
}
