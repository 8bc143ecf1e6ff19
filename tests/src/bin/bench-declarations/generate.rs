//! Writes an application with any number of declarations, and the same one without Underlay. Knows no figure.

use std::fmt::Write as _;

/// How many declarations a module has; a service of this size is common.
pub(crate) const MODULE: usize = 20;

/// One module of an application: the declarations from `first` on.
///
/// Of twenty, four are topics, four subscriptions, two buckets, one a cache, two keyspaces, two secrets, one a cron and
/// four endpoints. There is no database: what one costs at the start is PostgreSQL's time, which the bench `start` shows.
pub(crate) fn with_underlay(first: usize) -> String {
    let mut text = String::from("use underlay::axum::extract::Path;\nuse underlay::prelude::*;\n");
    for i in first..first + MODULE {
        let topic = i.saturating_sub(4);
        let cache = first + 10;
        let declaration = match i - first {
            0..4 => format!(
                "{}\n/// Topic {i}.\n#[topic(\"topic-{i}\", delivery = \"at-least-once\", ordered_by = customer)]\n\
                 pub static TOPIC_{i}: Topic<Event{i}>;\n",
                event(i, "Message, ", "#[message(attribute)] ")
            ),
            4..8 => format!(
                "#[subscription(TOPIC_{topic}, \"subscription-{i}\", max_concurrency = 10, ack_deadline = \"30s\")]\n\
                 async fn subscription_{i}(event: Event{topic}) -> underlay::Result<()> {{\n    \
                 let _ = (event.customer, event.amount);\n    Ok(())\n}}\n"
            ),
            8..10 => {
                format!("#[bucket(\"bucket-{i}\", versioned)]\npub static BUCKET_{i}: Bucket;\n")
            }
            10 => format!(
                "#[cache(\"cache-{i}\", eviction = \"allkeys-lru\")]\npub static CACHE_{i}: CacheCluster;\n"
            ),
            11 => format!(
                "#[derive(CacheKey)]\n{}#[keyspace(CACHE_{cache}, \"requests-{i}/:route/:user\", expiry = \"1h\")]\n\
                 pub static KEYSPACE_{i}: IntKeyspace<Key{i}>;\n",
                key(i)
            ),
            12 => format!(
                "#[keyspace(CACHE_{cache}, \"token-{i}/:key\", expiry = \"10s\")]\n\
                 pub static KEYSPACE_{i}: StringKeyspace<String>;\n"
            ),
            13..15 => format!("#[secret(\"Secret{i}\")]\npub static SECRET_{i}: Secret;\n"),
            15 => format!(
                "#[cron(\"cron-{i}\", title = \"Cron {i}\", every = \"1h\")]\n\
                 async fn cron_{i}() -> underlay::Result<()> {{\n    Ok(())\n}}\n"
            ),
            _ => format!(
                "#[api(method = GET, path = \"/endpoint-{i}/{{id}}\", public)]\n\
                 async fn endpoint_{i}(Path(id): Path<i64>) -> String {{\n    id.to_string()\n}}\n"
            ),
        };
        text.push('\n');
        text.push_str(&declaration);
    }
    text
}

/// The same module by hand: what Underlay's attributes stand for is listed in `register`.
pub(crate) fn bare(first: usize) -> String {
    let mut text = String::from(
        "use std::marker::PhantomData;\n\nuse axum::extract::Path;\nuse axum::routing::get;\n\
         use serde::{Deserialize, Serialize};\n\nuse crate::bare::{App, Bucket, Cache, Failure, Key, Keyspace, Secret, Topic};\n",
    );
    let mut register = String::new();
    let mut list = |line: String| {
        // Writing to a string does not fail.
        let _ = writeln!(register, "    {line}");
    };
    for i in first..first + MODULE {
        let topic = i.saturating_sub(4);
        let cache = first + 10;
        let item = match i - first {
            0..4 => format!(
                "{}\n/// Topic {i}.\npub static TOPIC_{i}: Topic<Event{i}> = Topic(\"topic-{i}\", PhantomData);\n",
                event(i, "", "")
            ),
            4..8 => {
                list(format!(
                    "app.subscribe(&TOPIC_{topic}, \"subscription-{i}\", subscription_{i});"
                ));
                format!(
                    "async fn subscription_{i}(event: Event{topic}) -> Result<(), Failure> {{\n    \
                     let _ = (event.customer, event.amount);\n    Ok(())\n}}\n"
                )
            }
            8..10 => {
                list(format!("app.names.push(BUCKET_{i}.0);"));
                format!("pub static BUCKET_{i}: Bucket = Bucket(\"bucket-{i}\");\n")
            }
            10 => {
                list(format!("app.names.push(CACHE_{i}.0);"));
                format!("pub static CACHE_{i}: Cache = Cache(\"cache-{i}\");\n")
            }
            11 => {
                list(format!("app.names.push(KEYSPACE_{i}.1);"));
                format!(
                    "{}impl Key for Key{i} {{\n    fn key(&self) -> String {{\n        \
                     format!(\"requests-{i}/{{}}/{{}}\", self.route, self.user)\n    }}\n}}\n\
                     pub static KEYSPACE_{i}: Keyspace<Key{i}> = Keyspace(&CACHE_{cache}, \"requests-{i}\", PhantomData);\n",
                    key(i)
                )
            }
            12 => {
                list(format!("app.names.push(KEYSPACE_{i}.1);"));
                format!(
                    "pub static KEYSPACE_{i}: Keyspace<String> = Keyspace(&CACHE_{cache}, \"token-{i}\", PhantomData);\n"
                )
            }
            13..15 => {
                list(format!("app.names.push(SECRET_{i}.0);"));
                format!("pub static SECRET_{i}: Secret = Secret(\"Secret{i}\");\n")
            }
            15 => {
                list(format!("app.job(\"cron-{i}\", cron_{i});"));
                format!("async fn cron_{i}() -> Result<(), Failure> {{\n    Ok(())\n}}\n")
            }
            _ => {
                list(format!(
                    "app.router = std::mem::take(&mut app.router).route(\"/endpoint-{i}/{{id}}\", get(endpoint_{i}));"
                ));
                format!(
                    "async fn endpoint_{i}(Path(id): Path<i64>) -> String {{\n    id.to_string()\n}}\n"
                )
            }
        };
        text.push('\n');
        text.push_str(&item);
    }
    format!("{text}\npub fn register(app: &mut App) {{\n{register}}}\n")
}

fn event(i: usize, derive: &str, attribute: &str) -> String {
    format!(
        "#[derive({derive}Serialize, Deserialize)]\npub struct Event{i} {{\n    {attribute}pub customer: String,\n    \
         pub amount: i64,\n}}\n"
    )
}

fn key(i: usize) -> String {
    format!("pub struct Key{i} {{\n    pub route: String,\n    pub user: i64,\n}}\n\n")
}

/// The root of the application, with this many modules.
pub(crate) fn main_with_underlay(modules: usize) -> String {
    format!(
        "//! Generated.\n#![allow(dead_code)]\n\n{}\n#[underlay::main]\nasync fn main() -> underlay::Result<()> {{\n    \
         underlay::run().await\n}}\n",
        mods(modules)
    )
}

/// The root of the application by hand.
pub(crate) fn main_bare(modules: usize) -> String {
    let register: String = (0..modules)
        .map(|module| format!("    m{module}::register(&mut app);\n"))
        .collect();
    let app = if modules == 0 {
        "let app"
    } else {
        "let mut app"
    };
    format!(
        "//! Generated.\n#![allow(dead_code)]\n\nmod bare;\n{}\n#[tokio::main]\n\
         async fn main() -> Result<(), bare::Failure> {{\n    bare::logs();\n    {app} = bare::App::default();\n\
         {register}    app.serve().await\n}}\n",
        mods(modules)
    )
}

fn mods(modules: usize) -> String {
    (0..modules)
        .map(|module| format!("mod m{module};\n"))
        .collect()
}
