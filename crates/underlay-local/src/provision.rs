//! From a model to the infra config of this machine. It knows which part of the config each kind of declaration
//! needs; how servers are got is [`crate::postgres`]'s business.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use sqlx::Connection;
use underlay_model::{
    InfraConfig, Model,
    infra::{
        BucketAddress, Cloud, Cron, EnvType, MemorySubscription, MemoryTopic, Metadata,
        ObjectStorage, PubSub, Redis, SecretText, SqlDatabase, SqlMigrator, SqlServer, TlsConfig,
    },
};

use crate::{
    checkout::Checkout,
    error::{Error, Errors},
    manage, namespace,
    postgres::{self, Access, PostgresUsed, Role, Scope, Server},
    report::Reporter,
    secrets,
    settings::Settings,
};

/// What the servers are for.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `cargo run`: data is kept.
    #[default]
    Run,
    /// `cargo test`: data is in memory and held for nobody; databases are cloned per test.
    Test,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Test => "test",
        }
    }

    /// What the files about this kind's server are named after.
    pub(crate) fn stem(self) -> &'static str {
        match self {
            Self::Run => "postgres",
            Self::Test => "postgres-test",
        }
    }
}

/// How to provision.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The infrastructure namespace; absent: `UNDERLAY_NAMESPACE`, the one switched to, or `default`.
    pub namespace: Option<String>,
    /// What the servers are for.
    pub kind: Kind,
    /// What `underlay.toml` says; absent: it is read.
    pub settings: Option<Settings>,
}

/// How long one part of the provisioning took.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Phase {
    /// What it was, such as `postgres`.
    pub name: String,
    /// How long it took.
    pub duration: Duration,
}

/// Everything that a model needs, running.
///
/// Dropping it lets a native server stop, once no other process uses it.
#[derive(Debug)]
pub struct Provisioned {
    /// Where everything is.
    pub config: InfraConfig,
    /// The namespace that was used.
    pub namespace: String,
    /// The PostgreSQL server; absent when no database is declared.
    pub postgres: Option<PostgresUsed>,
    /// The server's superuser, with which test databases are made; absent when no database is declared.
    pub admin: Option<Admin>,
    /// The declared secrets that have no value here.
    pub missing_secrets: Vec<String>,
    /// What took how long.
    pub phases: Vec<Phase>,
    pub(crate) checkout_id: String,
    /// The databases' names on the server, by declared name.
    pub(crate) databases: BTreeMap<String, String>,
    pub(crate) access: Access,
    /// Says to `cargo underlay reset` and its like that somebody uses the namespace.
    _use: fs::File,
    #[cfg(unix)]
    _guard: Option<postgres::Guard>,
}

/// How to reach a PostgreSQL server as its superuser.
#[derive(Clone)]
pub struct Admin {
    /// As `sql_servers[].host` in the infra config.
    pub host: String,
    /// The role.
    pub user: String,
    /// Its password; empty where the socket's folder is the protection.
    pub password: SecretText,
    pub(crate) options: sqlx::postgres::PgConnectOptions,
    /// Whether the server does without fsync, so that copying files is the fast way to clone a database.
    pub(crate) is_ours: bool,
}

impl Admin {
    /// How to connect to one database of the server.
    pub fn connect_options(&self, database: &str) -> sqlx::postgres::PgConnectOptions {
        self.options.clone().database(database)
    }
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin")
            .field("host", &self.host)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Gets everything running that the model needs, and says where it is.
///
/// Only what is declared is started or even looked for. For [`Kind::Test`] the declared databases are not created:
/// tests clone theirs from templates.
///
/// # Errors
///
/// All problems at once: in `underlay.toml`, the namespace, the secrets file, and getting the servers.
pub async fn provision(
    model: &Model,
    checkout: &Checkout,
    options: &Options,
    reporter: &dyn Reporter,
) -> Result<Provisioned, Errors> {
    let mut problems = Vec::new();
    let mut phases = Vec::new();
    let begin = Instant::now();
    let settings = match &options.settings {
        Some(settings) => Ok(settings.clone()),
        None => Settings::read(checkout),
    };
    let settings = settings.unwrap_or_else(|errors| {
        problems.extend(errors.0);
        Settings::default()
    });
    let namespace = match namespace::active(checkout, options.namespace.as_deref()) {
        Ok(namespace) => namespace,
        Err(error) => {
            problems.push(error);
            namespace::DEFAULT_NAMESPACE.to_owned()
        }
    };
    let secrets = secrets::find(model, checkout, reporter).unwrap_or_else(|errors| {
        problems.extend(errors);
        secrets::Found {
            values: BTreeMap::new(),
            missing: Vec::new(),
        }
    });
    if !problems.is_empty() {
        return Err(Errors(problems));
    }
    prepare(checkout, &namespace)?;
    let used = manage::use_together(checkout, &namespace)?;
    phases.push(Phase {
        name: "settings".to_owned(),
        duration: begin.elapsed(),
    });

    let mut config = config_without_servers(model, checkout, &namespace, options.kind, &settings);
    config.secrets = secrets.values;
    let mut provisioned = Provisioned {
        config,
        namespace,
        postgres: None,
        admin: None,
        missing_secrets: secrets.missing,
        phases,
        checkout_id: checkout.id.clone(),
        databases: BTreeMap::new(),
        access: Access::default(),
        _use: used,
        #[cfg(unix)]
        _guard: None,
    };
    if !model.databases.is_empty() {
        let scope = Scope {
            checkout,
            namespace: &provisioned.namespace.clone(),
            kind: options.kind,
            application: &model.application.name,
            settings: &settings.postgres,
            reporter,
        };
        add_postgres(model, &scope, &mut provisioned).await?;
    }
    Ok(provisioned)
}

async fn add_postgres(
    model: &Model,
    scope: &Scope<'_>,
    provisioned: &mut Provisioned,
) -> Result<(), Error> {
    let begin = Instant::now();
    let mut taken = postgres::take(scope).await?;
    provisioned.phases.push(Phase {
        name: "postgres".to_owned(),
        duration: begin.elapsed(),
    });

    let begin = Instant::now();
    let names = postgres::database_names(model, scope, &taken.server)?;
    let on_server: Vec<String> = match scope.kind {
        Kind::Run => names.values().cloned().collect(),
        Kind::Test => Vec::new(),
    };
    let access = postgres::provide_databases(scope, &mut taken, &on_server).await?;
    // Nobody waits for the goodbye: the server notices the end of the connection all the same.
    let _ = taken.connection.close().await;
    provisioned.phases.push(Phase {
        name: "databases".to_owned(),
        duration: begin.elapsed(),
    });

    provisioned
        .config
        .sql_servers
        .push(sql_server(&taken.server, &names, &access));
    provisioned.databases = names;
    provisioned.access = access;
    provisioned.admin = Some(Admin {
        host: taken.server.address.host(),
        user: taken.server.user.clone(),
        password: SecretText(taken.server.password.clone()),
        options: taken.server.options.clone(),
        is_ours: taken.server.rung != postgres::Rung::Url,
    });
    provisioned.postgres = Some(taken.used);
    #[cfg(unix)]
    {
        provisioned._guard = taken.server.guard;
    }
    Ok(())
}

fn sql_server(server: &Server, names: &BTreeMap<String, String>, access: &Access) -> SqlServer {
    let database = |(declared, name): (&String, &String)| {
        let roles = access.roles_of(name);
        let service = roles.map_or_else(
            || Role {
                name: server.user.clone(),
                password: SecretText(server.password.clone()),
            },
            |it| it.service.clone(),
        );
        let database = SqlDatabase {
            name: (declared != name).then(|| name.clone()),
            max_connections: None,
            min_connections: None,
            username: service.name,
            password: service.password,
            client_cert: None,
            acquire_timeout: None,
            statement_timeout: None,
            migrator: roles.map(|it| SqlMigrator {
                host: None,
                username: it.migrator.name.clone(),
                password: it.migrator.password.clone(),
                client_cert: None,
            }),
        };
        (declared.clone(), database)
    };
    SqlServer {
        host: server.address.host(),
        tls_config: Some(server.tls.clone().unwrap_or(TlsConfig {
            disabled: true,
            ..TlsConfig::default()
        })),
        read_replica: None,
        pooled: false,
        databases: names.iter().map(database).collect(),
    }
}

fn prepare(checkout: &Checkout, namespace: &str) -> Result<(), Error> {
    checkout.prepare()?;
    let folder = checkout.state.join(namespace);
    fs::create_dir_all(&folder).map_err(|error| Error::state("create", &folder, &error))
}

/// Everything but the database servers and the secrets.
fn config_without_servers(
    model: &Model,
    checkout: &Checkout,
    namespace: &str,
    kind: Kind,
    settings: &Settings,
) -> InfraConfig {
    let folder = checkout.state.join(namespace);
    let mut config = InfraConfig {
        metadata: Metadata {
            app_id: Some(model.application.name.clone()),
            env_name: Some(namespace.to_owned()),
            env_type: Some(match kind {
                Kind::Run => EnvType::Development,
                Kind::Test => EnvType::Test,
            }),
            cloud: Some(Cloud::Local),
            base_url: None,
        },
        cron: Some(Cron {
            enabled: settings.cron && kind == Kind::Run,
        }),
        ..InfraConfig::default()
    };
    for cache in &model.caches {
        config.redis.insert(
            cache.name.clone(),
            Redis {
                in_memory: true,
                ..Redis::default()
            },
        );
    }
    let mut topics: BTreeMap<String, MemoryTopic> = BTreeMap::new();
    for topic in &model.topics {
        topics.entry(topic.name.clone()).or_default();
    }
    for subscription in &model.subscriptions {
        let topic = topics.entry(subscription.topic.clone()).or_default();
        topic
            .subscriptions
            .insert(subscription.name.clone(), MemorySubscription {});
    }
    if !topics.is_empty() {
        let path = match kind {
            Kind::Run => Some(topics_file(&folder, &model.application.name)),
            Kind::Test => None,
        };
        config.pubsub.push(PubSub::Memory { path, topics });
    }
    let buckets: BTreeMap<String, BucketAddress> = model
        .buckets
        .iter()
        .map(|bucket| {
            let address = BucketAddress {
                name: bucket.name.clone(),
                key_prefix: None,
                public_base_url: None,
            };
            (bucket.name.clone(), address)
        })
        .collect();
    if !buckets.is_empty() {
        config.object_storage.push(match kind {
            Kind::Run => ObjectStorage::Disk {
                path: folder.join("objects").display().to_string(),
                sync: Some(false),
                buckets,
            },
            Kind::Test => ObjectStorage::Memory { buckets },
        });
    }
    config
}

/// Where an application keeps its messages. Each has a file of its own, because only one process can have it open.
pub(crate) fn topics_file(folder: &std::path::Path, application: &str) -> String {
    let name = format!("topics-{application}.redb");
    folder.join(name).display().to_string()
}

#[cfg(test)]
mod tests {
    use underlay_model::model::{
        Application, Bucket, Cache, DeliveryOptions, Eviction, Source, Subscription, Topic,
    };

    use super::*;

    fn model() -> Model {
        let mut model = Model::empty(Application {
            name: "shop".to_owned(),
            version: "0.1.0".to_owned(),
        });
        let (service, doc, source) = (String::new(), String::new(), Source::default());
        model.topics.push(Topic {
            name: "cart-events".to_owned(),
            message: "CartEvent".to_owned(),
            delivery: Default::default(),
            ordered_by: None,
            attributes: Vec::new(),
            service: service.clone(),
            doc: doc.clone(),
            source: source.clone(),
        });
        model.subscriptions.push(Subscription {
            name: "mail".to_owned(),
            topic: "cart-events".to_owned(),
            handler: "shop::mail".to_owned(),
            delivery: DeliveryOptions::default(),
            filter: Default::default(),
            idempotent_in: None,
            service: service.clone(),
            doc: doc.clone(),
            source: source.clone(),
        });
        model.buckets.push(Bucket {
            name: "uploads".to_owned(),
            public: false,
            versioned: false,
            service: service.clone(),
            doc: doc.clone(),
            source: source.clone(),
        });
        model.caches.push(Cache {
            name: "sessions".to_owned(),
            eviction: Eviction::default(),
            service,
            doc,
            source,
        });
        model
    }

    fn check(kind: Kind, expected: serde_json::Value) {
        let checkout = Checkout {
            root: "/w".into(),
            state: "/w/.underlay".into(),
            id: "0123abcd".to_owned(),
        };
        let settings = Settings {
            cron: true,
            ..Settings::default()
        };
        let config = config_without_servers(&model(), &checkout, "pr-12", kind, &settings);
        let text = serde_json::to_value(config).unwrap();
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(text[key], *value, "{key}");
        }
    }

    #[test]
    fn a_run_keeps_messages_and_objects() {
        check(
            Kind::Run,
            serde_json::json!({
                "metadata": {
                    "app_id": "shop", "env_name": "pr-12", "env_type": "development", "cloud": "local",
                },
                "pubsub": [{
                    "type": "memory",
                    "path": "/w/.underlay/pr-12/topics-shop.redb",
                    "topics": { "cart-events": { "subscriptions": { "mail": {} } } },
                }],
                "object_storage": [{
                    "type": "disk",
                    "path": "/w/.underlay/pr-12/objects",
                    "sync": false,
                    "buckets": { "uploads": { "name": "uploads" } },
                }],
                "cron": { "enabled": true },
            }),
        );
    }

    #[test]
    fn a_test_keeps_nothing() {
        check(
            Kind::Test,
            serde_json::json!({
                "pubsub": [{
                    "type": "memory",
                    "topics": { "cart-events": { "subscriptions": { "mail": {} } } },
                }],
                "object_storage": [{ "type": "memory", "buckets": { "uploads": { "name": "uploads" } } }],
                "cron": { "enabled": false },
            }),
        );
    }
}
