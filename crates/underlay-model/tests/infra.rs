//! The infra config: files written for Encore and our own are read; whatever is wrong is reported, all of it at once.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use underlay_model::infra::*;
use underlay_model::{InfraConfig, Model};

fn env(name: &str) -> Option<String> {
    let value = match name {
        "UNSET" => return None,
        "SECRET_JSON" => r#"{ "StripeKey": "sk_1", "Other": { "$env": "OTHER" } }"#.to_owned(),
        "LIST" => r#"["top secret"]"#.to_owned(),
        "BROKEN" => "{ top secret".to_owned(),
        "NUMBERS" => r#"{ "A": 1, "B": "b" }"#.to_owned(),
        "EMPTY" => String::new(),
        _ if name.ends_with("_URL") => format!("https://{}", name.to_lowercase()),
        _ => format!("value of {name}"),
    };
    Some(value)
}

fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    let config = InfraConfig::read(&std::fs::read_to_string(path).unwrap(), &env)
        .unwrap_or_else(|problems| panic!("{name}: {problems:#?}"));
    let json = config.to_json();
    assert_eq!(
        InfraConfig::read(&json, &|_| panic!("all is resolved")),
        Ok(config),
        "{name}"
    );
    serde_json::from_str(&json).unwrap()
}

/// Some places of each fixture with the values that must be there, after reading and writing again.
#[test]
fn files_are_read() {
    let checks: [(&str, &[(&str, Value)]); 8] = [
        (
            "encore-gcp.json",
            &[
                ("/metadata/env_type", json!("production")),
                ("/auth/0/key", json!("value of SVC_TO_SVC_KEY")),
                ("/service_discovery/mail/auth/0/id", json!(2)),
                (
                    "/service_discovery/search/base_url",
                    json!("https://search_url"),
                ),
                (
                    "/metrics/monitored_resource_labels/location",
                    json!("$LOCATION"),
                ),
                ("/used_metrics/0/services/0", json!("orders")),
                (
                    "/sql_servers/0/tls_config/client_cert/key",
                    json!("value of DB_CLIENT_KEY"),
                ),
                (
                    "/sql_servers/0/databases/orders/password",
                    json!("value of DB_PASSWORD"),
                ),
                (
                    "/pubsub/0/topics/cart-events/subscriptions/audit/push_config/id",
                    json!("audit"),
                ),
                (
                    "/object_storage/0/buckets/public-assets/key_prefix",
                    json!("v1/"),
                ),
                (
                    "/secrets",
                    json!({ "Plain": "text", "StripeKey": "value of STRIPE_KEY" }),
                ),
                ("/cors/allow_origins_without_credentials/0", json!("*")),
                ("/hosted_services/1", json!("files")),
                ("/worker_threads", json!(0)),
            ],
        ),
        (
            "encore-aws.json",
            &[
                (
                    "/metrics",
                    json!({ "type": "aws_cloudwatch", "namespace": "shop" }),
                ),
                (
                    "/sql_servers/0/databases/orders/username",
                    json!("value of DB_USER"),
                ),
                (
                    "/sql_servers/1/databases/users",
                    json!({ "username": "u", "password": "p" }),
                ),
                (
                    "/redis/sessions/auth",
                    json!({ "type": "auth_string", "auth_string": "value of REDIS_AUTH" }),
                ),
                (
                    "/object_storage/1/secret_access_key",
                    json!("value of R2_SECRET"),
                ),
            ],
        ),
        (
            "encore-nsq.json",
            &[
                ("/pubsub/0/hosts", json!("nsqd:4150")),
                ("/metrics/remote_write_url", json!("https://prometheus_url")),
            ],
        ),
        (
            "encore-docs-push-without-audience.json",
            &[(
                "/pubsub/0/topics/cart-events/subscriptions/send-mail/push_config",
                json!({ "id": "my-push", "service_account": "service-account@example.com" }),
            )],
        ),
        (
            "encore-docs-redis-without-in-memory.json",
            &[("/redis/sessions/in_memory", json!(false))],
        ),
        (
            "encore-redis-acl-env.json",
            &[
                (
                    "/redis/sessions/auth",
                    json!({ "type": "acl", "username": "value of REDIS_USER", "password": "value of REDIS_PASSWORD" }),
                ),
                ("/redis/local/in_memory", json!(true)),
            ],
        ),
        (
            "encore-secrets-from-one-variable.json",
            &[
                (
                    "/secrets",
                    json!({ "Other": "value of OTHER", "StripeKey": "sk_1" }),
                ),
                ("/metrics/api_key", json!("value of DATADOG_KEY")),
            ],
        ),
        (
            "underlay-local.json",
            &[
                ("/migrations", json!("job")),
                ("/cron/enabled", json!(true)),
                ("/redis/sessions/in_memory", json!(true)),
                (
                    "/pubsub/0/topics/cart-events",
                    json!({ "subscriptions": {} }),
                ),
            ],
        ),
    ];
    for (name, values) in &checks {
        let json = fixture(name);
        for (pointer, expected) in *values {
            assert_eq!(json.pointer(pointer), Some(expected), "{name} {pointer}");
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    assert_eq!(
        std::fs::read_dir(folder).unwrap().count(),
        checks.len(),
        "each fixture is checked"
    );
}

#[test]
fn nothing_is_needed() {
    assert_eq!(InfraConfig::read("{}", &env), Ok(InfraConfig::default()));
    assert_eq!(
        InfraConfig::read("\u{feff}{ \"cors\": null, \"migrations\": null }", &env),
        Ok(InfraConfig::default())
    );
}

#[track_caller]
fn wrong(text: &str, expected: &[&str]) {
    let problems = InfraConfig::read(text, &env).unwrap_err();
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(texts, expected);
}

#[test]
fn what_is_not_json_has_its_place() {
    wrong(
        "",
        &["not JSON: EOF while parsing a value at line 1 column 0"],
    );
    wrong(
        "{\n  \"cors\": {},\n}",
        &["not JSON: trailing comma at line 3 column 1"],
    );
    wrong("[]", &["expected an object, found a list"]);
    wrong(
        r#"{ "$env": "X" }"#,
        &[r#"expected an object, found {"$env": …}, which stands for texts and maps only"#],
    );
}

#[test]
fn what_a_pooler_and_timeouts_may_say() {
    wrong(
        r#"{
          "sql_servers": [{
            "host": "pooler",
            "pooled": true,
            "read_replica": { "host": "postgres://replica" },
            "databases": {
              "orders": {
                "username": "u", "password": "p", "acquire_timeout": "0s", "statement_timeout": "30s",
                "migrator": { "host": "", "username": "", "password": "p", "role": "m" }
              }
            }
          }]
        }"#,
        &[
            "sql_servers[0].databases.orders.migrator.role: unknown field; known are `host`, `username`, `password`, \
             `client_cert`",
            "sql_servers[0].read_replica.host: must be `host` or `host:port`, not a URL",
            "sql_servers[0].databases.orders.acquire_timeout: must be more than 0",
            "sql_servers[0].databases.orders.statement_timeout: does not reach the server through a pooler; set it for \
             the role: ALTER ROLE … SET statement_timeout = …",
            "sql_servers[0].databases.orders.migrator.username: must not be empty",
            "sql_servers[0].databases.orders.migrator.host: must not be empty",
        ],
    );
}

#[test]
fn all_problems_at_once() {
    wrong(
        r#"{
          "metadata": { "env_type": "prod", "cloud": { "$env": "CLOUD" }, "base_url": "example.com" },
          "auth": [{ "id": 1, "key": "k" }, { "type": "jwt", "foo": 1 }, { "type": "key", "id": "1" }],
          "sql_servers": [
            {
              "host": { "$env": "UNSET" },
              "databases": {
                "orders": { "user": "x", "password": 17, "max_connections": 3, "min_connections": 4 },
                "with space": { "username": "", "password": { "$env": "UNSET" }, "min_connections": 101 }
              }
            },
            { "host": "postgres://u:topsecret@h/db", "databases": { "orders": 5 } },
            "localhost"
          ],
          "redis": {
            "a": { "database_index": 16, "tls_config": { "disabled": "yes" } },
            "b": { "host": "h:99999", "database_index": 300, "auth": { "type": "acl", "username": "u" } },
            "c": { "host": "h", "database_index": -1, "max_connections": 1.5, "in_memory": 1 }
          },
          "pubsub": [
            { "type": "kafka", "brokers": [] },
            { "type": "gcp_pubsub", "topics": { "t": { "name": "t", "subscriptions": { "s": {} } } } },
            { "type": "aws_sns_sqs", "topics": { "t": { "arn": "t", "subscriptions": { "s": { "url": "s" } } } } },
            { "type": "azure_service_bus" }
          ],
          "object_storage": [
            { "type": "s3", "region": "", "access_key_id": "id", "buckets": { "a": { "name": "", "versioned": true } } },
            { "type": "gcs", "endpoint": "localhost", "buckets": ["a"] }
          ],
          "secrets": { "A": { "$env": "UNSET" }, "B": null, "C": { "$env": 5 }, "D": { "$env": "X", "default": "y" } },
          "metrics": { "type": "prometheus", "collection_interval": 0 },
          "log_confg": "info",
          "migrations": "on_start",
          "worker_threads": 4294967296
        }"#,
        &[
            "metadata.env_type: `prod` is not a supported environment type; supported are `production`, \
             `development`, `ephemeral`, `test`; did you mean `production`?",
            "metadata.cloud: the environment variable does not hold a supported cloud; supported are `aws`, `gcp`, \
             `azure`, `encore`, `local`",
            "auth[0].type: is missing; it is one of `key`",
            "auth[1].type: `jwt` is not a supported kind of key; supported are `key`",
            "auth[2].id: expected a whole number, found a text",
            "auth[2].key: is missing",
            "metrics.remote_write_url: is missing",
            "sql_servers[0].host: the environment variable `UNSET` is not set",
            "sql_servers[0].databases.orders.username: is missing",
            "sql_servers[0].databases.orders.password: expected a text or {\"$env\": \"NAME\"}, found a number",
            "sql_servers[0].databases.orders.user: unknown field; did you mean `username`?",
            "sql_servers[0].databases[\"with space\"].password: the environment variable `UNSET` is not set",
            "sql_servers[1].databases.orders: expected an object, found a number",
            "sql_servers[2]: expected an object, found a text",
            "redis.a.tls_config.disabled: expected `true` or `false`, found a text",
            "redis.b.auth.password: is missing",
            "redis.c.database_index: expected a whole number, found a negative one",
            "redis.c.max_connections: expected a whole number, found one with a fraction",
            "redis.c.in_memory: expected `true` or `false`, found a number",
            "pubsub[0].type: `kafka` is not a supported broker; supported are `memory`, `nats`, `gcp_pubsub`, \
             `aws_sns_sqs`, `nsq`",
            "pubsub[1].topics.t.subscriptions.s.name: is missing",
            "pubsub[3].type: `azure_service_bus` is not a supported broker; supported are `memory`, `nats`, \
             `gcp_pubsub`, `aws_sns_sqs`, `nsq`",
            "object_storage[0].buckets.a.versioned: unknown field; known are `name`, `key_prefix`, `public_base_url`",
            "object_storage[1].buckets: expected an object, found a list",
            "secrets.A: the environment variable `UNSET` is not set",
            "secrets.B: expected a text or {\"$env\": \"NAME\"}, found null",
            "secrets.C: `$env` is the name of an environment variable, found a number",
            "secrets.D: `$env` stands alone, but there are other fields beside it",
            "migrations: `on_start` is not a supported way to migrate; supported are `on-start`, `job`, `off`; \
             did you mean `on-start`?",
            "worker_threads: expected a whole number, found one that is too large",
            "log_confg: unknown field; did you mean `log_config`?",
            "metadata.base_url: must be a URL such as `https://example.com`",
            "metrics.collection_interval: must be at least 1",
            "sql_servers[0].databases.orders.min_connections: must not be above max_connections, which is 3",
            "sql_servers[0].databases[\"with space\"].username: must not be empty",
            "sql_servers[0].databases[\"with space\"].min_connections: must not be above max_connections, \
             which is 30 by default",
            "sql_servers[1].host: must be `host` or `host:port`, not a URL",
            "redis.a.host: must not be empty",
            "redis.a.database_index: must be from 0 to 15",
            "redis.b.host: must have a port from 1 to 65535 after its `:`",
            "redis.b.database_index: must be from 0 to 15",
            "pubsub[1].topics.t.project_id: is missing, and so is `pubsub[1].project_id`; one of them says where the \
             topic is",
            "pubsub[2].topics.t: the topic `t` is already at `pubsub[1].topics.t`; remove one",
            "pubsub[2].topics.t.arn: must be the ARN of a topic, which starts with `arn:`",
            "pubsub[2].topics.t.subscriptions.s.url: must be a URL such as `https://example.com`",
            "object_storage[0].region: must not be empty",
            "object_storage[0].secret_access_key: is missing; it belongs to `access_key_id`",
            "object_storage[0].buckets.a.name: must not be empty",
            "object_storage[1].endpoint: must be a URL such as `https://example.com`",
        ],
    );
}

#[test]
fn maps_from_variables() {
    wrong(
        r#"{ "secrets": { "$env": "UNSET" }, "log_config": { "$env": "UNSET" } }"#,
        &[
            "secrets: the environment variable `UNSET` is not set",
            "log_config: the environment variable `UNSET` is not set",
        ],
    );
    wrong(
        r#"{ "secrets": { "$env": "LIST" } }"#,
        &[
            "secrets: the environment variable `LIST` does not hold a JSON object (line 1, column 0)",
        ],
    );
    wrong(
        r#"{ "secrets": { "$env": "BROKEN" } }"#,
        &[
            "secrets: the environment variable `BROKEN` does not hold a JSON object (line 1, column 3)",
        ],
    );
    wrong(
        r#"{ "secrets": { "$env": "NUMBERS" } }"#,
        &["secrets.A: expected a text or {\"$env\": \"NAME\"}, found a number"],
    );
    wrong(
        r#"{ "secrets": { "$env": "EMPTY" } }"#,
        &[
            "secrets: the environment variable `EMPTY` does not hold a JSON object (line 1, column 0)",
        ],
    );
}

#[test]
fn fields_that_stand_twice() {
    wrong(
        r#"{ "redis": { "a": { "host": "x", "host": "y", "host": "z" }, "a": { "host": "h" } }, "redis": {} }"#,
        &[
            "redis.a.host: stands twice in its object",
            "redis.a: stands twice in its object",
            "redis: stands twice in its object",
        ],
    );
    wrong(
        r#"{ "auth": [{ "type": "key", "id": 1, "key": "k" }, { "type": "key", "id": 1, "key": "" }] }"#,
        &[
            "auth[1].key: must not be empty",
            "auth[1].id: is the same as that of `auth[0]`",
        ],
    );
}

#[test]
fn hosts() {
    let config =
        |host: &str| json!({ "sql_servers": [{ "host": host, "databases": {} }] }).to_string();
    for right in [
        "h",
        "h:5432",
        "10.0.0.3:1",
        "/run/postgresql",
        "/tmp:5433",
        "[::1]:5432",
        "[::1]",
        "::1",
        "a:1,b:2",
    ] {
        assert!(InfraConfig::read(&config(right), &env).is_ok(), "{right}");
    }
    for (host, expected) in [
        ("", "must not be empty"),
        (" ", "must not be empty"),
        ("h:", "must have a port from 1 to 65535 after its `:`"),
        ("h:0", "must have a port from 1 to 65535 after its `:`"),
        ("h:65536", "must have a port from 1 to 65535 after its `:`"),
        ("[::1]:x", "must have a port from 1 to 65535 after its `:`"),
        ("a b", "must not hold a space"),
        ("redis://h", "must be `host` or `host:port`, not a URL"),
    ] {
        wrong(
            &config(host),
            &[&format!("sql_servers[0].host: {expected}")],
        );
    }
}

#[test]
fn resources_in_two_places() {
    let server = json!({ "host": "h", "databases": { "a": { "username": "u", "password": "p" } } });
    let broker = json!({ "type": "memory", "topics": { "b": {} } });
    let store = json!({ "type": "disk", "path": "p", "buckets": { "c": { "name": "c" } } });
    let document = json!({
        "sql_servers": [server, server], "pubsub": [broker, broker], "object_storage": [store, store, store],
    });
    wrong(
        &document.to_string(),
        &[
            "sql_servers[1].databases.a: the database `a` is already at `sql_servers[0].databases.a`; remove one",
            "pubsub[1].topics.b: the topic `b` is already at `pubsub[0].topics.b`; remove one",
            "object_storage[1].buckets.c: the bucket `c` is already at `object_storage[0].buckets.c`; remove one",
            "object_storage[2].buckets.c: the bucket `c` is already at `object_storage[0].buckets.c`; remove one",
        ],
    );
}

/// Every value in the document and in the environment that may be secret is this one; no message shows it.
#[test]
fn no_message_shows_a_secret() {
    let secret = "hunter2";
    let env = |_: &str| Some(secret.to_owned());
    let from_env = json!({ "$env": "VARIABLE" });
    let documents = [
        json!(secret),
        from_env,
        json!([secret]),
        json!({ "x": secret }),
    ];
    let paths = [
        "secrets",
        "sql_servers",
        "redis",
        "pubsub",
        "object_storage",
        "metadata",
        "auth",
        "metrics",
        "cors",
        "cron",
        "graceful_shutdown",
        "service_discovery",
        "worker_threads",
        "hosted_services",
    ];
    let mut reported = 0;
    for value in &documents {
        for path in paths {
            for document in [
                json!({ path: value }),
                json!({ path: [value] }),
                json!({ path: { "a": value } }),
                json!({ path: [{ "host": value, "key": value, "databases": { "d": { "password": [secret] } } }] }),
                json!({ path: { "a": { "auth": { "type": "acl", "password": { "x": secret } } } } }),
                json!({ path: { "base_url": value, "remote_write_url": value, "type": "prometheus" } }),
                json!({ path: [{ "type": "s3", "secret_access_key": [secret], "endpoint": value }] }),
            ] {
                let Err(problems) = InfraConfig::read(&document.to_string(), &env) else {
                    continue;
                };
                for problem in problems {
                    reported += 1;
                    assert!(
                        !problem.to_string().contains(secret),
                        "{document}: {problem}"
                    );
                }
            }
        }
    }
    assert!(reported > 400, "{reported}");
    let shown = format!(
        "{:?}",
        InfraConfig::read(r#"{ "secrets": { "A": "hunter2" } }"#, &env)
    );
    assert!(shown.contains("***") && !shown.contains(secret), "{shown}");
}

fn map<T>(name: &str, value: T) -> BTreeMap<String, T> {
    BTreeMap::from([(name.to_owned(), value)])
}

/// A config in which every field of every type is set. No `..Default::default()`, so that a new field must be added.
fn full(
    exporter: MetricsExporter,
    env_type: EnvType,
    cloud: Cloud,
    migrations: Migrations,
) -> InfraConfig {
    let text = || "text".to_owned();
    let secret = || SecretText(text());
    let url = || "https://example.com".to_owned();
    let cert = || ClientCert {
        cert: text(),
        key: secret(),
    };
    let auth = || {
        vec![Auth::Key {
            id: 7,
            key: secret(),
        }]
    };
    let tls = || TlsConfig {
        disabled: true,
        ca: Some(text()),
        client_cert: Some(cert()),
        disable_tls_hostname_verification: true,
        disable_ca_validation: true,
    };
    let redis = |auth| Redis {
        host: text(),
        database_index: 15,
        auth: Some(auth),
        key_prefix: Some(text()),
        tls_config: Some(tls()),
        max_connections: Some(9),
        min_connections: Some(8),
        in_memory: true,
    };
    let named = |name: &str| {
        map(
            name,
            NamedTopic {
                name: text(),
                subscriptions: map("s", NamedSubscription { name: text() }),
            },
        )
    };
    let push = PushConfig {
        id: text(),
        service_account: text(),
        jwt_audience: Some(text()),
    };
    let gcp = GcpSubscription {
        name: text(),
        project_id: Some(text()),
        push_config: Some(push),
    };
    let buckets = |name: &str| {
        let address = BucketAddress {
            name: text(),
            key_prefix: Some(text()),
            public_base_url: Some(url()),
        };
        map(name, address)
    };
    InfraConfig {
        schema: Some(text()),
        metadata: Metadata {
            app_id: Some(text()),
            env_name: Some(text()),
            env_type: Some(env_type),
            cloud: Some(cloud),
            base_url: Some(url()),
        },
        graceful_shutdown: GracefulShutdown {
            total: Some(3),
            shutdown_hooks: Some(1),
            handlers: Some(2),
        },
        auth: auth(),
        service_discovery: map(
            "mail",
            ServiceAddress {
                base_url: url(),
                auth: Some(auth()),
            },
        ),
        metrics: Some(Metrics {
            collection_interval: Some(5),
            exporter,
        }),
        used_metrics: Some(json!([{ "name": "x" }])),
        sql_servers: vec![
            SqlServer {
                host: text(),
                tls_config: Some(tls()),
                read_replica: Some(SqlReplica {
                    host: text(),
                    tls_config: Some(tls()),
                }),
                pooled: false,
                databases: map(
                    "orders",
                    SqlDatabase {
                        name: Some(text()),
                        max_connections: Some(5),
                        min_connections: Some(4),
                        username: text(),
                        password: secret(),
                        client_cert: Some(cert()),
                        acquire_timeout: Some("3s".to_owned()),
                        statement_timeout: Some("1m".to_owned()),
                        migrator: Some(SqlMigrator {
                            host: Some(text()),
                            username: text(),
                            password: secret(),
                            client_cert: Some(cert()),
                        }),
                    },
                ),
            },
            SqlServer {
                host: text(),
                tls_config: None,
                read_replica: None,
                pooled: true,
                databases: BTreeMap::new(),
            },
        ],
        redis: [
            map(
                "a",
                redis(RedisAuth::Acl {
                    username: text(),
                    password: secret(),
                }),
            ),
            map(
                "b",
                redis(RedisAuth::AuthString {
                    auth_string: secret(),
                }),
            ),
        ]
        .into_iter()
        .flatten()
        .collect(),
        pubsub: vec![
            PubSub::Memory {
                path: Some(text()),
                topics: map(
                    "a",
                    MemoryTopic {
                        subscriptions: map("s", MemorySubscription {}),
                    },
                ),
            },
            PubSub::Nats {
                hosts: text(),
                provision: true,
                topics: named("b"),
            },
            PubSub::GcpPubsub {
                project_id: Some(text()),
                provision: false,
                topics: map(
                    "c",
                    GcpTopic {
                        name: text(),
                        project_id: Some(text()),
                        subscriptions: map("s", gcp),
                    },
                ),
            },
            PubSub::AwsSnsSqs {
                provision: true,
                topics: map(
                    "d",
                    AwsTopic {
                        arn: "arn:".to_owned(),
                        subscriptions: map("s", AwsSubscription { url: url() }),
                    },
                ),
            },
            PubSub::Nsq {
                hosts: text(),
                topics: named("e"),
            },
        ],
        object_storage: vec![
            ObjectStorage::Disk {
                path: text(),
                sync: Some(false),
                buckets: buckets("a"),
            },
            ObjectStorage::Memory {
                buckets: buckets("b"),
            },
            ObjectStorage::S3 {
                region: text(),
                endpoint: Some(url()),
                access_key_id: Some(text()),
                secret_access_key: Some(secret()),
                buckets: buckets("c"),
            },
            ObjectStorage::Gcs {
                endpoint: Some(url()),
                buckets: buckets("d"),
            },
        ],
        secrets: map("A", secret()),
        cron: Some(Cron { enabled: true }),
        migrations,
        cors: Some(Cors {
            debug: true,
            allow_headers: vec![text()],
            expose_headers: vec![text()],
            allow_origins_without_credentials: Some(vec![text()]),
            allow_origins_with_credentials: Some(vec![text()]),
        }),
        log_config: Some(text()),
        worker_threads: Some(2),
        hosted_services: vec![text()],
        hosted_gateways: Some(json!(["g"])),
    }
}

fn full_configs() -> Vec<InfraConfig> {
    let text = || "text".to_owned();
    vec![
        full(
            MetricsExporter::Prometheus {
                remote_write_url: "https://x".to_owned(),
            },
            EnvType::Production,
            Cloud::Aws,
            Migrations::Off,
        ),
        full(
            MetricsExporter::Datadog {
                site: text(),
                api_key: SecretText(text()),
            },
            EnvType::Development,
            Cloud::Gcp,
            Migrations::Job,
        ),
        full(
            MetricsExporter::GcpCloudMonitoring {
                project_id: text(),
                monitored_resource_type: text(),
                monitored_resource_labels: map("a", text()),
                metric_names: map("b", text()),
            },
            EnvType::Ephemeral,
            Cloud::Azure,
            Migrations::OnStart,
        ),
        full(
            MetricsExporter::AwsCloudwatch { namespace: text() },
            EnvType::Test,
            Cloud::Encore,
            Migrations::OnStart,
        ),
        full(
            MetricsExporter::AwsCloudwatch { namespace: text() },
            EnvType::Test,
            Cloud::Local,
            Migrations::OnStart,
        ),
    ]
}

/// Whatever serde writes, we read: every field of every type, every variant, by the same name.
#[test]
fn what_is_written_is_read() {
    for config in full_configs() {
        assert_eq!(InfraConfig::read(&config.to_json(), &|_| None), Ok(config));
    }
    let config = InfraConfig::default();
    assert_eq!(InfraConfig::read(&config.to_json(), &|_| None), Ok(config));
}

/// The configs above leave out no field and no variant that the schema, made from the types, knows.
#[cfg(feature = "schema")]
#[test]
fn every_field_of_the_types_is_read() {
    fn names_of(value: &Value, in_schema: bool, names: &mut std::collections::BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value {
                        Value::Object(properties) if in_schema && name == "properties" => {
                            names.extend(properties.keys().cloned());
                        }
                        Value::String(text) if in_schema && name == "const" => {
                            names.insert(text.clone());
                        }
                        Value::String(text) if !in_schema => {
                            names.extend([name.clone(), text.clone()])
                        }
                        _ if !in_schema => {
                            names.insert(name.clone());
                        }
                        _ => {}
                    }
                }
                fields
                    .values()
                    .for_each(|it| names_of(it, in_schema, names));
            }
            Value::Array(items) => items.iter().for_each(|it| names_of(it, in_schema, names)),
            _ => {}
        }
    }
    let (mut known, mut written) = Default::default();
    names_of(&underlay_model::schema::infra(), true, &mut known);
    for config in full_configs() {
        names_of(
            &serde_json::from_str(&config.to_json()).unwrap(),
            false,
            &mut written,
        );
    }
    known.remove("$env");
    assert!(known.len() > 100, "{known:?}");
    let missing: Vec<_> = known.difference(&written).collect();
    assert_eq!(missing, Vec::<&String>::new());
}

fn model() -> Model {
    let source = |line| json!({ "package": "shop", "module": "shop", "file": "x.rs", "line": line, "column": 1 });
    let entry = |name: &str, service: &str, line: u32, rest: Value| {
        let mut entry = json!({ "name": name, "service": service, "source": source(line) });
        entry
            .as_object_mut()
            .unwrap()
            .extend(rest.as_object().unwrap().clone());
        entry
    };
    let subscription = |topic: &str| {
        json!({
            "topic": topic, "handler": "h", "max_concurrency": 1, "ack_deadline": "30s", "retention": "7d",
            "min_backoff": "10s", "max_backoff": "10m", "max_retries": 3,
        })
    };
    let service = |name: &str| json!({ "name": name, "package": name, "module": name });
    serde_json::from_value(json!({
        "underlay_model": 1,
        "application": { "name": "shop", "version": "0.1.0" },
        "services": [service("files"), service("mail"), service("orders")],
        "databases": [entry("orders", "orders", 1, json!({ "engine": "postgres" }))],
        "topics": [entry("cart-events", "orders", 2, json!({ "message": "E" }))],
        "subscriptions": [
            entry("audit", "orders", 3, subscription("cart-events")),
            entry("send-mail", "mail", 4, subscription("cart-events")),
        ],
        "buckets": [
            entry("assets", "files", 5, json!({ "public": true })),
            entry("uploads", "files", 6, json!({})),
        ],
        "caches": [entry("sessions", "files", 7, json!({}))],
        "secrets": [entry("StripeKey", "orders", 8, json!({}))],
        "references": [
            entry("r", "orders", 9, json!({ "kind": "bucket", "resource": "uploads", "permissions": [] })),
        ],
    }))
    .unwrap()
}

#[track_caller]
fn missing(config: &str, expected: &[&str]) {
    let config = InfraConfig::read(config, &env).unwrap();
    let texts: Vec<String> = config
        .missing(&model())
        .iter()
        .map(|it| it.message.clone())
        .collect();
    assert_eq!(texts, expected);
}

#[test]
fn what_is_declared_and_not_placed() {
    missing(
        "{}",
        &[
            "database `orders` is declared at x.rs:1:1, but no sql_servers[].databases.orders says where it is",
            "topic `cart-events` is declared at x.rs:2:1, but no pubsub[].topics.cart-events says where it is",
            "bucket `assets` is declared at x.rs:5:1, but no object_storage[].buckets.assets says where it is",
            "bucket `uploads` is declared at x.rs:6:1, but no object_storage[].buckets.uploads says where it is",
            "cache `sessions` is declared at x.rs:7:1, but no redis.sessions says where it is",
            "secret `StripeKey` is declared at x.rs:8:1, but no secrets.StripeKey says where it is",
        ],
    );
    missing(
        r#"{
          "sql_servers": [{ "host": "h", "databases": { "order": { "username": "u", "password": "p" } } }],
          "pubsub": [
            {
              "type": "nats",
              "hosts": "h",
              "topics": { "cart-events": { "name": "n", "subscriptions": { "send_mail": { "name": "n" } } } }
            }
          ],
          "object_storage": [{ "type": "gcs", "buckets": { "assets": { "name": "a" }, "uploads": { "name": "u" } } }],
          "redis": { "sessions": { "in_memory": true } },
          "secrets": { "StripeKey": "x" }
        }"#,
        &[
            "database `orders` is declared at x.rs:1:1, but no sql_servers[].databases.orders says where it is; \
             did you mean `order`?",
            "topic `cart-events`'s subscription `audit` is declared at x.rs:3:1, but no \
             pubsub[].topics.cart-events.subscriptions.audit says where it is",
            "topic `cart-events`'s subscription `send-mail` is declared at x.rs:4:1, but no \
             pubsub[].topics.cart-events.subscriptions.send-mail says where it is; did you mean `send_mail`?",
            "bucket `assets` is declared public at x.rs:5:1, but object_storage[].buckets.assets has no \
             public_base_url that says where anybody can read it",
        ],
    );
}

#[test]
fn what_is_placed() {
    missing(
        r#"{
          "sql_servers": [{ "host": "h", "databases": { "orders": { "username": "u", "password": "p" } } }],
          "pubsub": [{ "type": "memory", "topics": { "cart-events": {} } }],
          "object_storage": [
            { "type": "disk", "path": "p", "buckets": { "assets": { "name": "a" }, "uploads": { "name": "u" } } }
          ],
          "redis": { "sessions": { "in_memory": true } },
          "secrets": { "StripeKey": "x", "Unused": "y" }
        }"#,
        &[],
    );
}

#[test]
fn only_hosted_services_need_their_resources() {
    missing(
        r#"{ "hosted_services": ["mail"] }"#,
        &[
            "topic `cart-events` is declared at x.rs:2:1, but no pubsub[].topics.cart-events says where it is",
        ],
    );
    missing(
        r#"{ "hosted_services": ["ordres", "orders"] }"#,
        &[
            "hosted_services names `ordres`, which is not a service of the application; did you mean `orders`?",
            "database `orders` is declared at x.rs:1:1, but no sql_servers[].databases.orders says where it is",
            "topic `cart-events` is declared at x.rs:2:1, but no pubsub[].topics.cart-events says where it is",
            "bucket `uploads` is declared at x.rs:6:1, but no object_storage[].buckets.uploads says where it is",
            "secret `StripeKey` is declared at x.rs:8:1, but no secrets.StripeKey says where it is",
        ],
    );
}
