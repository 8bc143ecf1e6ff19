//! The declared databases on a server, and what the roles of [`super::roles`] may do in them.
//!
//! A start that finds everything in place asks one question and changes nothing. Whoever has something to change holds
//! an advisory lock of the server, because the user's server may be prepared from several checkouts at once.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{
    AssertSqlSafe, Connection, Executor, Row,
    postgres::{PgConnectOptions, PgConnection},
};
use underlay_model::Model;

use super::{
    Rung, Scope, Server, Taken,
    admin::{self, quoted, text_of},
    roles::{self, NAME_MAX, Rights, Roles},
};
use crate::{
    error::{Error, ErrorKind},
    namespace::DEFAULT_NAMESPACE,
    provision::Provisioned,
    report::{Event, waiting},
};

/// The number of the lock: `underlay` in ASCII.
const PREPARING: i64 = 0x756e_6465_726c_6179;

/// What the databases of a server are used with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    /// Absent where there can be none: then it is the role that we were given.
    pub(crate) roles: Option<Roles>,
    /// The names on the server of databases that are not our migrator's. They are used with the role that we were
    /// given, and their rights are left alone.
    pub(crate) foreign: BTreeSet<String>,
}

impl Access {
    /// The roles of one database.
    pub(crate) fn roles_of(&self, database: &str) -> Option<&Roles> {
        self.roles
            .as_ref()
            .filter(|_| !self.foreign.contains(database))
    }
}

/// The names that the declared databases have on the server.
///
/// On a server of ours, which is one namespace's alone, they are the declared names. A server of the user's is shared
/// by all namespaces, so each but the default one is appended.
pub(crate) fn names(
    model: &Model,
    scope: &Scope<'_>,
    server: &Server,
) -> Result<BTreeMap<String, String>, Error> {
    let is_shared = server.rung == Rung::Url && scope.namespace != DEFAULT_NAMESPACE;
    let mut names = BTreeMap::new();
    for database in &model.databases {
        let name = if is_shared {
            format!("{}-{}", database.name, scope.namespace)
        } else {
            database.name.clone()
        };
        if name.len() > NAME_MAX {
            let message = format!(
                "{}: the database `{}` of namespace `{}` would be named `{name}`, and PostgreSQL cuts names at {NAME_MAX} \
                 bytes; use a shorter namespace",
                database.source, database.name, scope.namespace
            );
            return Err(Error::new(ErrorKind::Namespace, message));
        }
        names.insert(database.name.clone(), name);
    }
    Ok(names)
}

/// Sees to the roles and to the databases `names`; the latter are created where they are missing.
pub(crate) async fn provide(
    scope: &Scope<'_>,
    taken: &mut Taken,
    names: &[String],
) -> Result<Access, Error> {
    let (server, connection) = (&taken.server, &mut taken.connection);
    let role_names = roles::names(scope, server)?;
    let status = status(connection, &role_names, names).await?;
    if let Some(roles) = roles::known(scope, server)?
        && status.knows(&roles)
        && status.unfinished(names).next().is_none()
    {
        return Ok(access(scope, server, roles, &status));
    }
    if let Some(lack) = status.rights.lack(connection) {
        tell_without_roles(scope, server, &format!("may not make them: {lack}"));
        return without_roles(connection, server, names).await;
    }
    waiting(
        scope.reporter,
        "another process that prepares this PostgreSQL server",
        lock(connection),
    )
    .await?;
    let roles = roles::provide(scope, server)?;
    let mut status = self::status(connection, &role_names, names).await?;
    if !status.knows(&roles) {
        let exist = status.marks.each_ref().map(Option::is_some);
        match roles::create(connection, &roles, exist, &status.rights).await {
            Ok(()) if exist == [true, true] => tell_new_passwords(scope, server, &roles),
            Ok(()) => {}
            // Somebody else's roles by these names, or a service with rules of its own.
            Err(error) if server.rung == Rung::Url && admin::is_denied(&error) => {
                tell_without_roles(
                    scope,
                    server,
                    &format!("may not make them: {}", text_of(&error)),
                );
                return without_roles(connection, server, names).await;
            }
            Err(error) => {
                return Err(problem(
                    &format!(
                        "create the roles {} and {}",
                        roles.migrator.name, roles.service.name
                    ),
                    &error,
                ));
            }
        }
        if server.rung == Rung::Url
            && let Some(reason) = roles::refusal(&server.options, &roles).await
        {
            if exist == [false, false] {
                roles::remove(connection, &roles).await;
            }
            let reason = format!("can make them, but they cannot log in: {reason}");
            tell_without_roles(scope, server, &reason);
            return without_roles(connection, server, names).await;
        }
    }
    let unfinished: Vec<String> = status.unfinished(names).cloned().collect();
    for name in unfinished {
        let state = match status.databases.get(&name) {
            Some(_) => State::Unfinished,
            None => {
                create(
                    connection,
                    &name,
                    &roles,
                    template(server.rung != Rung::Url),
                )
                .await?
            }
        };
        if state == State::Unfinished {
            furnish(&server.options.clone().database(&name), &name, &roles).await?;
            open(connection, &name, &roles).await?;
        }
        status.databases.insert(name, state);
    }
    unlock(connection).await?;
    Ok(access(scope, server, roles, &status))
}

fn access(scope: &Scope<'_>, server: &Server, roles: Roles, status: &Status) -> Access {
    let foreign: BTreeSet<String> = status.foreign().cloned().collect();
    if !foreign.is_empty() {
        let way_out = match server.rung {
            Rung::Url => "",
            _ => "; for roles as in production start afresh: cargo underlay reset",
        };
        let message = format!(
            "not made by Underlay for this checkout, and so used as {} with all its rights: the database {}{way_out}",
            server.user,
            list(&foreign)
        );
        scope.reporter.report(Event::Notice { message: &message });
    }
    Access {
        roles: Some(roles),
        foreign,
    }
}

fn tell_without_roles(scope: &Scope<'_>, server: &Server, reason: &str) {
    let message = format!(
        "the service and its migrations have no roles of their own here, and use {} with all its rights: on {} it \
         {reason}",
        server.user,
        server.address.host()
    );
    scope.reporter.report(Event::Notice { message: &message });
}

fn tell_new_passwords(scope: &Scope<'_>, server: &Server, roles: &Roles) {
    let message = format!(
        "the passwords of {} and {} on {} were not known here, and are new ones now: what else uses these roles has to \
         start again",
        roles.migrator.name,
        roles.service.name,
        server.address.host()
    );
    scope.reporter.report(Event::Notice { message: &message });
}

/// The databases for whoever we are connected as.
async fn without_roles(
    connection: &mut PgConnection,
    server: &Server,
    names: &[String],
) -> Result<Access, Error> {
    admin::create_databases(connection, names, template(server.rung != Rung::Url)).await?;
    Ok(Access::default())
}

/// What databases are copied from.
///
/// Nobody can be connected to `template0`, so a copy of it never has to wait. On a server of the user's the other
/// template may hold what every database there shall have.
fn template(is_ours: bool) -> Option<&'static str> {
    is_ours.then_some("template0")
}

/// Makes declared databases empty again, with the roles that they have: what is in them is lost, and connections to
/// them are cut. Those that are missing are created.
///
/// # Errors
///
/// When a name is not declared, or a database is none that was made for this checkout: on a server of the user's it may
/// hold what others need. Then none is touched. Or when the server does not do what is asked.
pub async fn recreate_databases(
    provisioned: &Provisioned,
    declared: &[String],
) -> Result<(), Error> {
    let Some(admin) = &provisioned.admin else {
        return Err(failure("the model declares no database".to_owned()));
    };
    let mut names = Vec::new();
    for name in declared {
        let Some(on_server) = provisioned.databases.get(name) else {
            return Err(failure(format!(
                "there is no database `{name}`; declared are {}",
                list(provisioned.databases.keys())
            )));
        };
        names.push(on_server.clone());
    }
    let Some(roles) = &provisioned.access.roles else {
        return Err(failure(format!(
            "the database {} on {} was not made by Underlay with roles of its own, and is left alone; empty it yourself, \
             or give the URL of a role with CREATEROLE and CREATEDB",
            list(&names),
            admin.host
        )));
    };
    let mut connection = admin::connect_once(&admin.options)
        .await
        .map_err(|it| failure(format!("cannot connect to {}: {}", admin.host, it.text)))?;
    lock(&mut connection).await?;
    let role_names = [&roles.migrator, &roles.service].map(|it| it.name.clone());
    let status = status(&mut connection, &role_names, &names).await?;
    let foreign: BTreeSet<&String> = status.foreign().collect();
    if !foreign.is_empty() {
        let way_out = if admin.is_ours {
            "start afresh: cargo underlay reset"
        } else {
            "empty it yourself"
        };
        return Err(failure(format!(
            "the database {} on {} was not made by Underlay for this checkout, because it does not belong to {}, and is \
             left alone; {way_out}",
            list(foreign),
            admin.host,
            roles.migrator.name
        )));
    }
    for name in &names {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(name));
        run(
            &mut connection,
            &sql,
            &format!("remove the database `{name}`"),
        )
        .await?;
        match create(&mut connection, name, roles, template(admin.is_ours)).await? {
            State::Unfinished => {}
            State::Ready | State::Foreign => {
                return Err(failure(format!(
                    "somebody else has created the database `{name}` on {} just now",
                    admin.host
                )));
            }
        }
        furnish(&admin.connect_options(name), name, roles).await?;
        open(&mut connection, name, roles).await?;
    }
    // The lock goes with the connection.
    let _ = connection.close().await;
    Ok(())
}

/// How far a database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Our migrator's, and the service may enter: the last thing that is done.
    Ready,
    /// Our migrator's.
    Unfinished,
    /// Somebody else's.
    Foreign,
}

/// What is there.
struct Status {
    rights: Rights,
    /// The comments of the migrator and the service; absent: there is no such role.
    marks: [Option<String>; 2],
    /// The databases that exist, of those that were asked for.
    databases: BTreeMap<String, State>,
}

impl Status {
    fn knows(&self, roles: &Roles) -> bool {
        self.marks.iter().all(|it| it.as_ref() == Some(&roles.mark))
    }

    fn unfinished<'a>(&'a self, names: &'a [String]) -> impl Iterator<Item = &'a String> {
        names
            .iter()
            .filter(|name| matches!(self.databases.get(*name), None | Some(State::Unfinished)))
    }

    fn foreign(&self) -> impl Iterator<Item = &String> {
        self.databases
            .iter()
            .filter(|(_, state)| **state == State::Foreign)
            .map(|(name, _)| name)
    }
}

/// Everything that there is to know, with one question.
async fn status(
    connection: &mut PgConnection,
    [migrator, service]: &[String; 2],
    names: &[String],
) -> Result<Status, Error> {
    let sql = "SELECT me.rolsuper, me.rolcreaterole, me.rolcreatedb, \
                      CASE WHEN m.oid IS NOT NULL THEN coalesce(shobj_description(m.oid, 'pg_authid'), '') END, \
                      CASE WHEN s.oid IS NOT NULL THEN coalesce(shobj_description(s.oid, 'pg_authid'), '') END, \
                      d.datname::text, coalesce(d.datdba = m.oid, false), \
                      EXISTS (SELECT FROM aclexplode(d.datacl) a \
                              WHERE a.grantee = s.oid AND a.privilege_type = 'CONNECT') \
               FROM pg_roles me \
               LEFT JOIN pg_roles m ON m.rolname = $1 \
               LEFT JOIN pg_roles s ON s.rolname = $2 \
               LEFT JOIN pg_database d ON d.datname::text = ANY($3) \
               WHERE me.rolname = current_user";
    let action = "look for the roles and databases of the PostgreSQL server";
    let rows = sqlx::query(sql)
        .bind(migrator)
        .bind(service)
        .bind(names)
        .fetch_all(connection)
        .await
        .map_err(|error| problem(action, &error))?;
    let read = || {
        let mut status = None;
        for row in &rows {
            let status = match &mut status {
                Some(status) => status,
                none => none.insert(Status {
                    rights: Rights {
                        is_superuser: row.try_get(0)?,
                        may_create_roles: row.try_get(1)?,
                        may_create_databases: row.try_get(2)?,
                    },
                    marks: [row.try_get(3)?, row.try_get(4)?],
                    databases: BTreeMap::new(),
                }),
            };
            if let Some(name) = row.try_get::<Option<String>, _>(5)? {
                let state = match (row.try_get(6)?, row.try_get(7)?) {
                    (true, true) => State::Ready,
                    (true, false) => State::Unfinished,
                    (false, _) => State::Foreign,
                };
                status.databases.insert(name, state);
            }
        }
        status.ok_or(sqlx::Error::RowNotFound)
    };
    read().map_err(|error| problem(action, &error))
}

async fn lock(connection: &mut PgConnection) -> Result<(), Error> {
    let sql = format!("SELECT pg_advisory_lock({PREPARING})");
    run(connection, &sql, "lock the PostgreSQL server").await
}

async fn unlock(connection: &mut PgConnection) -> Result<(), Error> {
    let sql = format!("SELECT pg_advisory_unlock({PREPARING})");
    run(connection, &sql, "unlock the PostgreSQL server").await
}

/// Creates a database that is missing.
async fn create(
    connection: &mut PgConnection,
    name: &str,
    roles: &Roles,
    template: Option<&str>,
) -> Result<State, Error> {
    let template = template
        .map(|it| format!(" TEMPLATE {}", quoted(it)))
        .unwrap_or_default();
    let owner = quoted(&roles.migrator.name);
    let sql = format!("CREATE DATABASE {} OWNER {owner}{template}", quoted(name));
    match connection.execute(AssertSqlSafe(sql)).await {
        Ok(_) => Ok(State::Unfinished),
        // Somebody who does not know of our lock was faster.
        Err(error) if admin::is_duplicate(&error) => Ok(State::Foreign),
        Err(error) => Err(problem(&format!("create the database `{name}`"), &error)),
    }
}

/// Sees to the rights inside an empty database of the migrator's; `options` lead there.
pub(crate) async fn furnish(
    options: &PgConnectOptions,
    name: &str,
    roles: &Roles,
) -> Result<(), Error> {
    let action = format!("prepare the database `{name}`");
    let mut connection = admin::connect_once(options)
        .await
        .map_err(|it| failure(format!("cannot {action}: {}", it.text)))?;
    let (migrator, service) = (quoted(&roles.migrator.name), quoted(&roles.service.name));
    // Whose `public` is, and who may create there, depends on the version that the cluster began with.
    let mut sql = format!(
        "BEGIN; ALTER SCHEMA public OWNER TO {migrator}; REVOKE CREATE ON SCHEMA public FROM PUBLIC; \
         GRANT USAGE ON SCHEMA public TO {service}; "
    );
    for grant in [
        "USAGE ON SCHEMAS",
        "SELECT, INSERT, UPDATE, DELETE ON TABLES",
        "USAGE, SELECT, UPDATE ON SEQUENCES",
        "EXECUTE ON ROUTINES",
        "USAGE ON TYPES",
    ] {
        sql.push_str(&format!(
            "ALTER DEFAULT PRIVILEGES FOR ROLE {migrator} GRANT {grant} TO {service}; "
        ));
    }
    sql.push_str("COMMIT");
    run(&mut connection, &sql, &action).await?;
    let _ = connection.close().await;
    Ok(())
}

/// Closes a database to everybody but the service, which marks it as done.
async fn open(connection: &mut PgConnection, name: &str, roles: &Roles) -> Result<(), Error> {
    let (database, service) = (quoted(name), quoted(&roles.service.name));
    let sql = format!(
        "BEGIN; REVOKE ALL ON DATABASE {database} FROM PUBLIC; \
         GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {service}; COMMIT"
    );
    run(
        connection,
        &sql,
        &format!("give the service its rights on the database `{name}`"),
    )
    .await
}

async fn run(connection: &mut PgConnection, sql: &str, action: &str) -> Result<(), Error> {
    match connection.execute(AssertSqlSafe(sql.to_owned())).await {
        Ok(_) => Ok(()),
        Err(error) => Err(problem(action, &error)),
    }
}

fn problem(action: &str, error: &sqlx::Error) -> Error {
    failure(format!("cannot {action}: {}", text_of(error)))
}

fn failure(message: String) -> Error {
    Error::new(ErrorKind::Database, message)
}

fn list<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    let names: Vec<String> = names.into_iter().map(|it| format!("`{it}`")).collect();
    names.join(", ")
}
