//! What all tests of a process share: the test cluster, provisioned once, and a migrated template per database.

use underlay_model::{InfraConfig, Model};

use crate::Result;
use crate::config::configuration;
use crate::inventory::Entry;

#[cfg(feature = "local")]
pub(super) use shared::{Clones, clone};

/// Without the feature nothing can be provisioned for a test.
#[cfg(not(feature = "local"))]
pub(super) enum Clones {}

#[cfg(not(feature = "local"))]
impl Clones {
    pub(super) async fn remove(self) {
        match self {}
    }
}

/// Refuses: this binary cannot provision.
#[cfg(not(feature = "local"))]
pub(super) async fn clone(_model: &Model, _entries: &[Entry]) -> Result<(InfraConfig, Clones)> {
    Err(configuration(vec![
        "`#[underlay::test]` needs the feature `local` of underlay".to_owned(),
    ]))
}

#[cfg(feature = "local")]
mod shared {
    use std::sync::Arc;

    use tokio::sync::OnceCell;
    #[cfg(feature = "postgres")]
    use underlay_backends::postgres::tables;
    use underlay_local::{Kind, Options, Provisioned};

    use super::{Entry, InfraConfig, Model, Result, configuration};
    #[cfg(feature = "postgres")]
    use crate::sql::Schema;

    /// The servers that this process's tests use, for as long as it lives.
    struct Host {
        provisioned: Provisioned,
        #[cfg(feature = "postgres")]
        cluster: Option<underlay_local::TestCluster>,
    }

    static HOST: OnceCell<Arc<Host>> = OnceCell::const_new();

    /// The databases that were cloned for one test.
    pub(crate) struct Clones {
        #[cfg(feature = "postgres")]
        host: Arc<Host>,
        #[cfg(feature = "postgres")]
        databases: Vec<String>,
    }

    impl Clones {
        /// Removes them. What cannot be removed now is removed when tests run next.
        pub(crate) async fn remove(self) {
            #[cfg(feature = "postgres")]
            for database in self.databases {
                if let Some(cluster) = &self.host.cluster
                    && let Err(error) = cluster.drop(&database).await
                {
                    tracing::warn!(target: "underlay", "{error}");
                }
            }
        }
    }

    async fn host(model: &Model) -> Result<Arc<Host>> {
        let host = HOST.get_or_try_init(|| async {
            let checkout = crate::local::checkout()?;
            let options = Options {
                kind: Kind::Test,
                ..Options::default()
            };
            let provisioned =
                underlay_local::provision(model, &checkout, &options, &crate::local::Log)
                    .await
                    .map_err(|errors| {
                        configuration(errors.0.iter().map(ToString::to_string).collect())
                    })?;
            #[cfg(feature = "postgres")]
            let cluster = match provisioned.admin {
                None => None,
                Some(_) => Some(
                    underlay_local::TestCluster::start(&provisioned, &crate::local::Log)
                        .await
                        .map_err(|error| configuration(vec![error.to_string()]))?,
                ),
            };
            Ok::<_, crate::Error>(Arc::new(Host {
                provisioned,
                #[cfg(feature = "postgres")]
                cluster,
            }))
        });
        host.await.cloned()
    }

    /// An infra config for one test: databases of its own, everything else in memory.
    pub(crate) async fn clone(model: &Model, entries: &[Entry]) -> Result<(InfraConfig, Clones)> {
        let host = host(model).await?;
        let mut config = host.provisioned.config.clone();
        // What a test knows of secrets, it sets itself.
        config.secrets.clear();
        #[cfg(feature = "postgres")]
        let databases = clone_databases(&host, model, entries, &mut config).await?;
        #[cfg(not(feature = "postgres"))]
        let _ = entries;
        let clones = Clones {
            #[cfg(feature = "postgres")]
            host,
            #[cfg(feature = "postgres")]
            databases,
        };
        Ok((config, clones))
    }

    #[cfg(feature = "postgres")]
    async fn clone_databases(
        host: &Host,
        model: &Model,
        entries: &[Entry],
        config: &mut InfraConfig,
    ) -> Result<Vec<String>> {
        use futures_util::future::join_all;

        let Some(cluster) = &host.cluster else {
            return Ok(Vec::new());
        };
        let root = crate::local::checkout()?.root;
        let schemas = crate::sql::schemas(entries, Some(&root)).map_err(configuration)?;
        let none = Schema::default();
        let cloned = join_all(model.databases.iter().map(async |database| {
            let schema = schemas.get(&database.name).unwrap_or(&none);
            let servers = &host.provisioned.config.sql_servers;
            let place = servers
                .iter()
                .find_map(|it| it.databases.get(&database.name));
            let service = place
                .filter(|it| it.migrator.is_some())
                .map(|it| it.username.as_str());
            let build = async |options: sqlx::postgres::PgConnectOptions| {
                crate::sql::migrate_fresh(schema, &options, service).await
            };
            let template = cluster
                .template(&template_name(&database.name, schema), build)
                .await?;
            Ok((database.name.as_str(), cluster.clone(&template).await?))
        }));
        let mut databases = Vec::new();
        let mut problems = Vec::new();
        for result in cloned.await {
            match result {
                Ok((name, clone)) => {
                    for server in &mut config.sql_servers {
                        if let Some(place) = server.databases.get_mut(name) {
                            place.name = Some(clone.clone());
                        }
                    }
                    databases.push(clone);
                }
                Err(error) => problems.push(underlay_local::Error::to_string(&error)),
            }
        }
        if problems.is_empty() {
            Ok(databases)
        } else {
            Err(configuration(problems))
        }
    }

    /// Everything that a migrated database's content depends on.
    #[cfg(feature = "postgres")]
    fn template_name(name: &str, schema: &Schema) -> String {
        let files = schema.migrations.iter();
        let files = files.map(|it| format!("\n{}\n{}", it.file, it.sql));
        let tables = schema.tables.then(tables::content).unwrap_or_default();
        format!("{name}{}{tables}", files.collect::<String>())
    }
}
