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
}

impl Server {
    /// Joins the server of a checkout, or starts it.
    pub(crate) fn of(folder: &Folder, pin: Pin) -> Self {
        let mut model = Model::empty(Application {
            name: "shop".to_owned(),
            version: "0.1.0".to_owned(),
        });
        model.databases.push(Database {
            name: "orders".to_owned(),
            engine: Engine::Postgres,
            migrations: Vec::new(),
            migrations_dir: None,
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
        }
    }

    /// Where it is, as `sql_servers[].host` of an infra config.
    pub(crate) fn host(&self) -> &str {
        &self.provisioned.config.sql_servers[0].host
    }

    /// The rows of a query of the database `orders`.
    pub(crate) fn query(&self, sql: &'static str) -> Vec<PgRow> {
        let admin = self.provisioned.admin.as_ref().unwrap();
        self.runtime.block_on(async {
            let mut connection: PgConnection =
                admin.connect_options("orders").connect().await.unwrap();
            sqlx::query(sql).fetch_all(&mut connection).await.unwrap()
        })
    }

    /// The one value of a query of the database `orders`.
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
