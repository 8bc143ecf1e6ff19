//! A configured start: an infra config of the form that Encore publishes starts the shop where its servers are ours,
//! and what cannot be honoured yet is an error that names the field.

use expect_test::{Expect, expect};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use underlay_local::Pin;

use crate::{
    application::{HIDDEN, Start},
    database::Server,
    folder::Folder,
    http::call_url,
    servers::{Need, trial},
    shop::place_order,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "config::a_whole_file_starts_and_serves",
            &[Need::Native],
            a_whole_file_starts_and_serves,
        ),
        trial(
            "config::the_text_itself_and_the_form_of_secrets",
            &[Need::Native],
            the_text_itself,
        ),
        trial("config::what_is_missing", &[], what_is_missing),
        trial(
            "config::several_mistakes_at_once",
            &[],
            several_mistakes_at_once,
        ),
        trial("config::no_such_file", &[], no_such_file),
        trial("config::topics_elsewhere", &[], topics_elsewhere),
        trial("config::buckets_elsewhere", &[], buckets_elsewhere),
        trial("config::caches_elsewhere", &[], caches_elsewhere),
        trial(
            "config::what_is_not_supported_yet",
            &[],
            what_is_not_supported_yet,
        ),
        trial(
            "config::tls_without_the_feature",
            &[],
            tls_without_the_feature,
        ),
    ]
}

/// An infra config for the shop, whole unless something is taken away. By default its database refuses connections.
pub(crate) struct Config<'a> {
    folder: &'a Folder,
    json: Value,
}

impl<'a> Config<'a> {
    pub(crate) fn new(folder: &'a Folder) -> Self {
        let databases = json!({
            "orders": {
                "username": "underlay",
                "password": { "$env": "ORDERS_PASSWORD" },
                "max_connections": 20,
                "min_connections": 1,
            },
        });
        let json = json!({
            "metadata": { "app_id": "shop", "env_name": "e2e", "env_type": "production", "cloud": "local" },
            "graceful_shutdown": { "total": 10, "shutdown_hooks": 5, "handlers": 5 },
            "sql_servers": [{ "host": "127.0.0.1:1", "tls_config": { "disabled": true }, "databases": databases }],
            "redis": { "sessions": { "host": "localhost:6379", "database_index": 0, "in_memory": true } },
            "pubsub": [{
                "type": "memory",
                "path": folder.path("broker/topics.redb"),
                "topics": { "order-placed": { "subscriptions": { "write-invoice": {} } } },
            }],
            "object_storage": [{
                "type": "disk",
                "path": folder.path("objects"),
                "buckets": {
                    "invoices": { "name": "shop-invoices", "key_prefix": "v1/" },
                    "assets": { "name": "shop-assets", "public_base_url": "https://cdn.example/assets" },
                },
            }],
            "secrets": { "PaymentSigningKey": { "$env": "PAYMENT_SIGNING_KEY" } },
            "log_config": "info",
            "hosted_gateways": ["api-gateway"],
        });
        Self { folder, json }
    }

    /// With its database on this server.
    pub(crate) fn on(self, host: &str) -> Self {
        self.set("/sql_servers/0/host", host.into())
    }

    /// With another value at a place, whose parent is there.
    pub(crate) fn set(mut self, pointer: &str, value: Value) -> Self {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = self.json.pointer_mut(parent).unwrap();
        match key.parse::<usize>() {
            Ok(index) => parent[index] = value,
            Err(_) => parent[key] = value,
        }
        self
    }

    /// Without one of its fields.
    pub(crate) fn without(mut self, field: &str) -> Self {
        self.json.as_object_mut().unwrap().remove(field).unwrap();
        self
    }

    /// The shop with this config in a file.
    pub(crate) fn start(&self) -> Start<'a> {
        let file = self
            .folder
            .write("infra.json", &format!("{:#}\n", self.json));
        self.start_with(file)
    }

    fn start_with(&self, infra: impl Into<std::ffi::OsString>) -> Start<'a> {
        // A local start would be seen: it would take a server from here.
        let start = self
            .folder
            .shop()
            .with("UNDERLAY_POSTGRES", "this is not looked at")
            .with("UNDERLAY_INFRA", infra);
        start
            .with("ORDERS_PASSWORD", format!("{HIDDEN}-password"))
            .with("PAYMENT_SIGNING_KEY", format!("{HIDDEN}-key"))
    }

    /// Its refusal.
    fn check(&self, expected: &Expect) {
        expected.assert_eq(&self.start().refusal());
    }
}

fn a_whole_file_starts_and_serves() {
    let folder = Folder::new();
    let server = Server::of(&folder, Pin::Native);
    let config = Config::new(&folder).on(server.host());
    let shop = config
        .start()
        .with("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        .serve();
    shop.get("/__underlay/health/ready").expect(200);
    let id = place_order(&shop, "tea");
    shop.get(&format!("/orders/{id}/payment-link")).expect(200);
    assert_eq!(
        shop.get("/logo").expect(200).text(),
        "https://cdn.example/assets/logo.svg"
    );
    assert!(
        folder.path("objects/shop-invoices").exists(),
        "the bucket has the name that the config gives it"
    );
    // Jobs by hand, the model and private endpoints are for local runs.
    shop.post("/__underlay/cron/expire-unpaid-orders", json!({}))
        .expect(404);
    shop.get("/__underlay/model").expect(404);
    shop.get("/requests/orders/ann").expect(404);
    shop.stop();
    let shop = config.start().serve();
    assert_eq!(
        shop.get(&format!("/orders/{id}/invoice"))
            .expect(200)
            .text(),
        format!("order {id}: 2 × tea for ann\n")
    );
    assert!(
        !folder.path(".underlay/default/topics-shop.redb").exists(),
        "nothing but what the config says is used"
    );
}

fn the_text_itself() {
    let folder = Folder::new();
    let server = Server::of(&folder, Pin::Native);
    // Encore documents this form of the secrets, too: a variable that holds all of them.
    let config = Config::new(&folder)
        .on(server.host())
        .set("/secrets", json!({ "$env": "SECRETS" }));
    let secrets = json!({ "PaymentSigningKey": format!("{HIDDEN}-key") }).to_string();
    let start = config
        .start_with(config.json.to_string())
        .with("SECRETS", secrets)
        .without("PAYMENT_SIGNING_KEY");
    let shop = start.serve();
    let id = place_order(&shop, "tea");
    let link = shop.get(&format!("/orders/{id}/payment-link")).expect(200);
    shop.stop();
    let shop = Config::new(&folder).on(server.host()).start().serve();
    assert_eq!(
        shop.get(&format!("/orders/{id}/payment-link")).expect(200),
        link
    );
    let public = Config::new(&folder)
        .on(server.host())
        .set("/object_storage/0/buckets/assets", json!({ "name": "a" }));
    shop.stop();
    let shop = public.start().serve();
    let url = shop.get("/logo").expect(200);
    assert!(
        url.text()
            .starts_with(&format!("http://{}/", shop.address())),
        "{url:?}"
    );
    call_url("GET", url.text(), b"").expect(404);
}

fn what_is_missing() {
    let folder = Folder::new();
    let config = [
        "sql_servers",
        "redis",
        "pubsub",
        "object_storage",
        "secrets",
    ]
    .into_iter()
    .fold(Config::new(&folder), Config::without);
    config.check(&expect![[r#"
        6 problems keep the application from starting:
        - infra config: database `orders` is declared at examples/shop/src/orders.rs:16:19, but no sql_servers[].databases.orders says where it is
        - infra config: topic `order-placed` is declared at examples/shop/src/orders.rs:33:19, but no pubsub[].topics.order-placed says where it is
        - infra config: bucket `assets` is declared at examples/shop/src/files.rs:14:8, but no object_storage[].buckets.assets says where it is
        - infra config: bucket `invoices` is declared at examples/shop/src/files.rs:11:19, but no object_storage[].buckets.invoices says where it is
        - infra config: cache `sessions` is declared at examples/shop/src/sessions.rs:10:8, but no redis.sessions says where it is
        - infra config: secret `PaymentSigningKey` is declared at examples/shop/src/payments.rs:11:8, but no secrets.PaymentSigningKey says where it is"#]]);
}

fn several_mistakes_at_once() {
    let folder = Folder::new();
    let config = Config::new(&folder)
        .set("/graceful_shutdwn", json!({}))
        .set("/metadata/env_type", "staging".into())
        .set("/sql_servers/0/databases/orders/min_connections", 30.into())
        .set("/redis/sessions/database_index", 16.into())
        .set("/pubsub/0/type", "kafka".into())
        .set("/object_storage/0/buckets/assets/key_prefx", "x".into());
    config.check(&expect![[r#"
        6 problems keep the application from starting:
        - infra config <checkout>/infra.json: metadata.env_type: `staging` is not a supported environment type; supported are `production`, `development`, `ephemeral`, `test`
        - infra config <checkout>/infra.json: pubsub[0].type: `kafka` is not a supported broker; supported are `memory`, `nats`, `gcp_pubsub`, `aws_sns_sqs`, `nsq`
        - infra config <checkout>/infra.json: object_storage[0].buckets.assets.key_prefx: unknown field; did you mean `key_prefix`?
        - infra config <checkout>/infra.json: graceful_shutdwn: unknown field; did you mean `graceful_shutdown`?
        - infra config <checkout>/infra.json: sql_servers[0].databases.orders.min_connections: must not be above max_connections, which is 20
        - infra config <checkout>/infra.json: redis.sessions.database_index: must be from 0 to 15"#]]);
}

fn no_such_file() {
    let folder = Folder::new();
    let config = Config::new(&folder);
    expect!["the infra config <checkout>/absent.json, which UNDERLAY_INFRA names, cannot be read: No such file or directory (os error 2)"].assert_eq(&config.start_with(folder.path("absent.json")).refusal());
    let broken = folder.write("broken.json", "{\n  \"metadata\": {},\n");
    expect!["infra config <checkout>/broken.json: not JSON: EOF while parsing a value at line 3 column 0"].assert_eq(&config.start_with(broken).refusal());
}

fn topics_elsewhere() {
    let folder = Folder::new();
    let subscription = |address: Value| json!({ "write-invoice": address });
    let topic = |name: &str, subscription: Value| json!({ "order-placed": { name: "order-placed", "subscriptions": subscription } });
    let check = |pubsub: Value, expected: Expect| {
        Config::new(&folder)
            .set("/pubsub/0", pubsub)
            .check(&expected)
    };
    check(
        json!({
            "type": "gcp_pubsub", "project_id": "p",
            "topics": topic("name", subscription(json!({ "name": "s" }))),
        }),
        expect![
            "infra config: pubsub[0].type: `gcp_pubsub` is not compiled into this binary; build it with the feature `gcp-pubsub` of the crate `underlay`"
        ],
    );
    check(
        json!({ "type": "aws_sns_sqs", "topics": topic("arn", subscription(json!({ "url": "https://sqs/q" }))) }),
        expect![
            "infra config <checkout>/infra.json: pubsub[0].topics.order-placed.arn: must be the ARN of a topic, which starts with `arn:`"
        ],
    );
    check(
        json!({
            "type": "nsq", "hosts": "nsq:4150",
            "topics": topic("name", subscription(json!({ "name": "s" }))),
        }),
        expect![
            "infra config: pubsub[0].type: `nsq` is not supported, because it loses messages and knows no order; use `nats`"
        ],
    );
    check(
        json!({ "type": "nats", "topics": {} }),
        expect!["infra config <checkout>/infra.json: pubsub[0].hosts: is missing"],
    );
}

fn buckets_elsewhere() {
    let folder = Folder::new();
    let buckets = json!({ "invoices": { "name": "i" }, "assets": { "name": "a", "public_base_url": "https://x.example" } });
    let check = |storage: Value, expected: Expect| {
        Config::new(&folder)
            .set("/object_storage/0", storage)
            .check(&expected)
    };
    check(
        json!({ "type": "gcs", "buckets": buckets }),
        expect![
            "infra config: object_storage[0].type: `gcs` is not supported yet; `disk` and `memory` are"
        ],
    );
    check(
        json!({
            "type": "s3", "region": "eu-central-1", "endpoint": "https://s3.example",
            "access_key_id": "id", "secret_access_key": { "$env": "ORDERS_PASSWORD" }, "buckets": buckets,
        }),
        expect![
            "infra config: object_storage[0].type: `s3` is not supported yet; `disk` and `memory` are"
        ],
    );
}

fn caches_elsewhere() {
    let folder = Folder::new();
    let redis = json!({
        "host": "redis:6379", "database_index": 0, "in_memory": false,
        "auth": { "type": "auth_string", "auth_string": { "$env": "ORDERS_PASSWORD" } },
    });
    Config::new(&folder)
        .set("/redis/sessions", redis)
        .check(&expect![[
            r#"infra config: redis.sessions: Redis is not supported yet; `"in_memory": true` is"#
        ]]);
}

fn what_is_not_supported_yet() {
    let folder = Folder::new();
    let config = Config::new(&folder)
        .set(
            "/auth",
            json!([{ "type": "key", "id": 1, "key": { "$env": "ORDERS_PASSWORD" } }]),
        )
        .set(
            "/service_discovery",
            json!({ "billing": { "base_url": "http://billing" } }),
        )
        .set(
            "/metrics",
            json!({ "type": "prometheus", "remote_write_url": "http://prometheus/write" }),
        )
        .set("/cors", json!({ "allow_headers": ["x-a"] }))
        .set("/hosted_services", json!(["orders"]))
        .set("/worker_threads", 4.into())
        .set("/cron", json!({ "enabled": true }));
    config.check(&expect!["infra config: cron.enabled: several processes may run there, and choosing one of them to run the jobs is not supported yet; let an outer scheduler call them"]);
    for metrics in [
        json!({ "type": "datadog", "site": "datadoghq.eu", "api_key": { "$env": "ORDERS_PASSWORD" } }),
        json!({ "type": "gcp_cloud_monitoring", "project_id": "p", "monitored_resource_type": "generic_node" }),
        json!({ "type": "aws_cloudwatch", "namespace": "shop" }),
    ] {
        let error = Config::new(&folder)
            .set("/metrics", metrics)
            .start()
            .refusal();
        assert!(
            error.contains("metrics: exporting metrics is not supported yet"),
            "{error}"
        );
    }
}

fn tls_without_the_feature() {
    let folder = Folder::new();
    Config::new(&folder)
        .set("/sql_servers/0/tls_config", json!({}))
        .check(&expect![[r#"infra config: sql_servers[0].tls_config: this binary has no TLS; build it with the feature `tls` of underlay, or say `"tls_config": {"disabled": true}` for a server that is reached without it"#]]);
}
