//! A look into the databases of an application under test, past it: through the provisioner, as its superuser.

use sqlx::{ConnectOptions as _, PgConnection, postgres::PgRow};
use tokio::runtime::Runtime;
use underlay_local::{
    Kind, Options, Pin, PostgresSettings, Provisioned, Settings, Silent, provision,
};
use underlay_model::{
    Model,
    model::{Application, Database, Engine, Source},
};

use crate::folder::Folder;

/// The PostgreSQL server of a checkout. It runs for as long as this lives.
pub(crate) struct Server {
    runtime: Runtime,
    pub(crate) provisioned: Provisioned,
    /// The database that is looked into.
    database: String,
}

/// A lock that is held on a connection of its own, until it is dropped.
pub(crate) struct Lock<'a> {
    _connection: PgConnection,
    /// Its connection lives on it.
    _server: &'a Server,
}

impl Server {
    /// Joins the server of a checkout of the shop, or starts it.
    pub(crate) fn of(folder: &Folder, pin: Pin) -> Self {
        Self::of_database(folder, pin, "orders")
    }

    /// Joins the server of a checkout with one database, or starts it.
    pub(crate) fn of_database(folder: &Folder, pin: Pin, database: &str) -> Self {
        let mut model = Model::empty(Application {
            name: "shop".to_owned(),
            version: "0.1.0".to_owned(),
        });
        model.databases.push(Database {
            name: database.to_owned(),
            engine: Engine::Postgres,
            migrations: Vec::new(),
            migrations_dir: None,
            outbox: false,
            service: String::new(),
            doc: String::new(),
            source: Source::default(),
        });
        let postgres = PostgresSettings {
            pinned: Some(pin),
            ..PostgresSettings::default()
        };
        let options = Options {
            namespace: Some("default".to_owned()),
            kind: Kind::Run,
            settings: Some(Settings {
                postgres,
                ..Settings::default()
            }),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let provisioned = runtime.block_on(provision(&model, &folder.checkout, &options, &Silent));
        Self {
            provisioned: provisioned.unwrap_or_else(|errors| panic!("{errors}")),
            runtime,
            database: database.to_owned(),
        }
    }

    /// Where it is, as `sql_servers[].host` of an infra config.
    pub(crate) fn host(&self) -> &str {
        &self.provisioned.config.sql_servers[0].host
    }

    async fn connect(&self) -> PgConnection {
        let admin = self.provisioned.admin.as_ref().unwrap();
        let options = admin.connect_options(&self.database);
        options.connect().await.unwrap()
    }

    /// The rows of a query.
    pub(crate) fn query(&self, sql: &'static str) -> Vec<PgRow> {
        self.query_of(sql, &[])
    }

    fn query_of(&self, sql: &'static str, values: &[&str]) -> Vec<PgRow> {
        self.runtime.block_on(async {
            let mut query = sqlx::query(sql);
            for value in values {
                query = query.bind(*value);
            }
            query.fetch_all(&mut self.connect().await).await.unwrap()
        })
    }

    /// Takes an advisory lock.
    pub(crate) fn hold_lock(&self, number: i64) -> Lock<'_> {
        let connection = self.runtime.block_on(async {
            let mut connection = self.connect().await;
            sqlx::query("SELECT pg_advisory_lock($1)")
                .bind(number)
                .execute(&mut connection)
                .await
                .unwrap();
            connection
        });
        Lock {
            _connection: connection,
            _server: self,
        }
    }

    /// The one value of a query with texts in it.
    pub(crate) fn value_of<T>(&self, sql: &'static str, values: &[&str]) -> T
    where
        T: for<'a> sqlx::Decode<'a, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        use sqlx::Row as _;

        self.query_of(sql, values).remove(0).get(0)
    }

    /// The one value of a query.
    pub(crate) fn value<T>(&self, sql: &'static str) -> T
    where
        T: for<'a> sqlx::Decode<'a, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        use sqlx::Row as _;

        self.query(sql).remove(0).get(0)
    }

    /// The process number of the server.
    pub(crate) fn pid(&self) -> u32 {
        let folder: String = self.value("SELECT current_setting('data_directory')");
        let file =
            std::fs::read_to_string(std::path::Path::new(&folder).join("postmaster.pid")).unwrap();
        file.lines().next().unwrap().parse().unwrap()
    }
}

/// Whether a process is there and no zombie.
pub(crate) fn is_running(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}
