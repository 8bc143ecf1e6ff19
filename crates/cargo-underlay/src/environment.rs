//! Where declared databases are: on this machine, where they are made to run, or where the infra config of another
//! environment says. Knows how to reach them, and nothing of what is done there.

use std::path::{Path, PathBuf};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use tokio::time::Instant;
use underlay_backends::postgres;
use underlay_local::{Checkout, Kind, Options, Provisioned, Rung, provision};
use underlay_model::{
    InfraConfig, Problem,
    infra::{ClientCert, SecretText, SqlDatabase, SqlServer},
};

use crate::{
    access::{Access, PATIENCE},
    arguments::Selection,
    declared::{Databases, Declared, url_variable},
    failure::{Failure, os_text},
    progress::progress,
    workspace::Workspace,
};

/// Which environment is meant.
#[derive(clap::Args, Clone, Default)]
pub(crate) struct Place {
    /// The infra config of another environment, as UNDERLAY_INFRA takes it; nothing is started then.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["test", "namespace"])]
    pub(crate) env: Option<PathBuf>,
    /// The server that tests use, with a database of its own beside those of the tests.
    #[arg(long)]
    pub(crate) test: bool,
    /// The infrastructure namespace, instead of the active one.
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    #[command(flatten)]
    pub(crate) selection: Selection,
}

/// An environment that is reached.
pub(crate) struct Environment {
    pub(crate) config: InfraConfig,
    /// What runs here; absent: the environment is another.
    pub(crate) provisioned: Option<Provisioned>,
    /// The infra config's file, where that was given.
    file: Option<PathBuf>,
    pub(crate) kind: Kind,
}

/// As whom a database is used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// As the application.
    Service,
    /// As who applies migrations; where there is no such role, as the application.
    Migrator,
    /// As the superuser of a server of ours; elsewhere as the migrator.
    Admin,
}

impl Environment {
    /// Reads the infra config that is given, or else makes the databases run here.
    ///
    /// # Errors
    ///
    /// When the file is not right, or the servers cannot be had.
    pub(crate) async fn open(
        place: &Place,
        workspace: &Workspace,
        databases: &Databases,
    ) -> Result<Self, Failure> {
        if let Some(file) = &place.env {
            return Self::read(file);
        }
        let checkout = Checkout::find(&workspace.root())?;
        let kind = if place.test { Kind::Test } else { Kind::Run };
        let options = Options {
            namespace: place.namespace.clone(),
            kind,
            ..Options::default()
        };
        let provisioned = provision(&databases.model(), &checkout, &options, &progress()).await?;
        let mut config = provisioned.config.clone();
        if kind == Kind::Test {
            name_for_tests(&mut config)?;
            create_for_tests(&provisioned, &config, &[]).await?;
        }
        Ok(Self {
            config,
            provisioned: Some(provisioned),
            file: None,
            kind,
        })
    }

    fn read(file: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::io("read the infra config", file, &error))?;
        let variable = |name: &str| std::env::var(name).ok();
        let config = InfraConfig::read(&text, &variable).map_err(|problems| {
            let problem = |it| Problem::error(format!("infra config {}: {it}", file.display()), []);
            Failure::problems(problems.iter().map(problem).collect())
        })?;
        Ok(Self {
            config,
            provisioned: None,
            file: Some(file.to_owned()),
            kind: Kind::Run,
        })
    }

    fn find(&self, declared: &Declared) -> Result<(usize, &SqlServer, &SqlDatabase), Failure> {
        let servers = self.config.sql_servers.iter().enumerate();
        let found = servers
            .filter_map(|(index, server)| {
                Some((index, server, server.databases.get(&declared.name)?))
            })
            .next();
        found.ok_or_else(|| {
            let name = &declared.name;
            let file = self.file.as_deref().unwrap_or(Path::new(""));
            Failure::error(format!(
                "infra config {}: the database `{name}`, which is declared at {}, is in none of sql_servers; add it to \
                 the `databases` of the server that has it",
                file.display(),
                declared.source
            ))
        })
    }

    /// How to get into a declared database.
    ///
    /// # Errors
    ///
    /// When it is not in the infra config, or what is there cannot be honoured.
    pub(crate) fn access(&self, declared: &Declared, role: Role) -> Result<Access, Failure> {
        let (index, server, database) = self.find(declared)?;
        let name = &declared.name;
        let wrong = |why: String| {
            let file = self.file.as_deref().map(|it| format!(" {}", it.display()));
            Failure::error(format!(
                "infra config{}: sql_servers[{index}].{why}",
                file.unwrap_or_default()
            ))
        };
        let tls = server.tls_config.clone().unwrap_or_default();
        let access = |options, password: &SecretText, client: Option<&ClientCert>| Access {
            name: name.clone(),
            options,
            password: password.clone(),
            client_cert: client.or(tls.client_cert.as_ref()).cloned(),
            tls: tls.clone(),
            pooled: false,
        };
        let admin = self.provisioned.as_ref().and_then(|it| it.admin.as_ref());
        let role = match self.kind {
            Kind::Run => role,
            // It has nothing of value, and the database is nobody's but the superuser's.
            Kind::Test => Role::Admin,
        };
        Ok(match (role, admin) {
            (Role::Service, _) => Access::of_service(server, name, database).map_err(wrong)?,
            (Role::Admin, Some(admin)) => {
                let options = admin.connect_options(database.name.as_deref().unwrap_or(name));
                access(options, &admin.password, None)
            }
            (Role::Migrator | Role::Admin, _) => {
                let options = postgres::migrator_options(server, name, database).map_err(wrong)?;
                let migrator = database.migrator.as_ref();
                let password = migrator.map_or(&database.password, |it| &it.password);
                let client = match migrator {
                    Some(migrator) => migrator.client_cert.as_ref(),
                    None => database.client_cert.as_ref(),
                };
                access(options, password, client)
            }
        })
    }

    /// Whether a server stops when this process ends.
    pub(crate) fn holds_a_server(&self) -> bool {
        self.provisioned.as_ref().is_some_and(holds_a_server)
    }

    /// Makes databases of this machine empty again.
    ///
    /// # Errors
    ///
    /// When the server refuses, or the databases are none that were made for this checkout.
    pub(crate) async fn recreate(&self, declared: &[String]) -> Result<(), Failure> {
        match (&self.provisioned, self.kind) {
            (Some(provisioned), Kind::Run) => {
                Ok(underlay_local::recreate_databases(provisioned, declared).await?)
            }
            (Some(provisioned), Kind::Test) => {
                create_for_tests(provisioned, &self.config, declared).await
            }
            (None, _) => Err(Failure::usage(
                "the databases of another environment are not dropped from here",
            )),
        }
    }

    /// The role of the application, if another one applies the migrations.
    pub(crate) fn service_beside_migrator(&self, declared: &Declared) -> Option<String> {
        let (_, _, database) = self.find(declared).ok()?;
        if self.kind == Kind::Test {
            return None;
        }
        database
            .migrator
            .as_ref()
            .map(|_| database.username.clone())
    }

    /// The variables that say to sqlx's macros, and to programs, where the databases are.
    ///
    /// # Errors
    ///
    /// As [`Self::access`].
    pub(crate) fn variables(
        &self,
        databases: &[Declared],
    ) -> Result<Vec<(String, String)>, Failure> {
        let mut variables = Vec::new();
        for declared in databases {
            let uri = self.access(declared, Role::Service)?.uri();
            if databases.len() == 1 {
                variables.push(("DATABASE_URL".to_owned(), uri.clone()));
            }
            variables.push((url_variable(&declared.name), uri));
        }
        Ok(variables)
    }
}

/// Whether a server stops when this process ends, because it is no container and nobody else's.
pub(crate) fn holds_a_server(provisioned: &Provisioned) -> bool {
    let postgres = provisioned.postgres.as_ref();
    postgres.is_some_and(|it| matches!(it.rung, Rung::Native | Rung::Managed))
}

/// The declared names on the server of the tests stand for none of the tests' own databases, and on a server of the
/// user's for none of those with data.
fn name_for_tests(config: &mut InfraConfig) -> Result<(), Failure> {
    for (declared, database) in config
        .sql_servers
        .iter_mut()
        .flat_map(|it| &mut it.databases)
    {
        let name = database.name.as_deref().unwrap_or(declared);
        let separator = if name.contains('_') { '_' } else { '-' };
        let name = format!("{name}{separator}test");
        if name.len() > underlay_model::name::MAX_LEN {
            return Err(Failure::error(format!(
                "the database `{declared}` would be named `{name}` for tests, and PostgreSQL cuts names at 63 bytes; use a \
                 shorter namespace or name"
            )));
        }
        database.name = Some(name);
    }
    Ok(())
}

/// Creates the databases that are missing on the server of the tests; those of `anew` are dropped before.
async fn create_for_tests(
    provisioned: &Provisioned,
    config: &InfraConfig,
    anew: &[String],
) -> Result<(), Failure> {
    let Some(admin) = &provisioned.admin else {
        return Ok(());
    };
    let options = admin.connect_options("postgres");
    let cannot = |error: &sqlx::Error| {
        Failure::error(format!(
            "cannot create a database on the server of the tests at {}: {}",
            admin.host,
            postgres::explain(error, &options)
        ))
    };
    let deadline = Instant::now() + PATIENCE;
    let mut connection = postgres::connect(&options, deadline, |_| {})
        .await
        .map_err(|why| {
            Failure::error(format!("the server of the tests at {}: {why}", admin.host))
        })?;
    let databases = config.sql_servers.iter().flat_map(|it| &it.databases);
    for (declared, database) in databases {
        let Some(name) = &database.name else { continue };
        if anew.contains(declared) {
            let sql = format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)");
            let dropped = connection.execute(AssertSqlSafe(sql)).await;
            dropped.map_err(|error| cannot(&error))?;
        }
        let exists: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
                .bind(name)
                .fetch_one(&mut connection)
                .await
                .map_err(|error| cannot(&error))?;
        if exists {
            continue;
        }
        let sql = format!("CREATE DATABASE \"{name}\" TEMPLATE template0");
        match connection.execute(AssertSqlSafe(sql)).await {
            Ok(_) => {}
            // Another process was faster: duplicate_database, or unique_violation in the catalog.
            Err(sqlx::Error::Database(error))
                if matches!(error.code().as_deref(), Some("42P04" | "23505")) => {}
            Err(error) => return Err(cannot(&error)),
        }
    }
    // The server notices the end of the connection all the same.
    let _ = connection.close().await;
    Ok(())
}

/// What an operation on a port or socket failed with.
pub(crate) fn cannot(action: &str, error: &std::io::Error) -> Failure {
    Failure::error(format!("cannot {action}: {}", os_text(error)))
}
