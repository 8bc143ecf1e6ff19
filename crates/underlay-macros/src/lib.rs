//! The attributes and derives of `underlay`: each parses what the user wrote, checks it, and expands it.
//!
//! Users reach them through the crate `underlay`, whose documentation shows them in use. This crate reads nothing but
//! its input and, for `#[database]`, the migrations directory; what it writes names only `::underlay::__private`.

mod api;
mod bucket;
mod cache;
mod cache_key;
mod cron;
mod database;
mod entry;
mod errors;
mod expansion;
#[cfg(test)]
mod expansion_tests;
mod filter;
mod fragment;
mod handler;
mod keyspace;
mod marker;
mod message;
mod migrations;
mod module_level;
mod options;
mod reference;
mod secret;
mod seed;
mod service;
mod source;
mod static_item;
mod subscription;
mod topic;
mod type_text;

use proc_macro::TokenStream;

/// Declares a PostgreSQL database, on `static NAME: Database;`.
///
/// Options: the name as a string literal (kebab-case or snake_case; without it, the static's name in kebab-case), and
/// - `migrations = "migrations"`: a directory of `{number}_{description}.up.sql` files, relative to the package's
///   folder and inside of the workspace. The files become part of the binary and are applied in the order of their
///   numbers. A new file is seen when the crate is compiled the next time.
/// - `outbox`: messages can be published in its transactions, with `Topic::publish_in`.
/// - `named = "orders"`, alone: the static stands for a database of this name that is declared elsewhere.
#[proc_macro_attribute]
pub fn database(options: TokenStream, item: TokenStream) -> TokenStream {
    database::attribute(options.into(), item.into()).into()
}

/// Declares a topic, on `static NAME: Topic<T>;`, where `T` derives `Message`.
///
/// Options: the name as a string literal (kebab-case; without it, the static's name), and
/// - `delivery = "at-least-once"` (default) or `"exactly-once"`;
/// - `ordered_by = field`: messages of one value of this attribute are delivered in the order of publishing.
#[proc_macro_attribute]
pub fn topic(options: TokenStream, item: TokenStream) -> TokenStream {
    topic::attribute(options.into(), item.into()).into()
}

/// Declares a subscription to a topic, handled by an `async fn(event: T) -> Result<(), E>`; a second parameter
/// `&Delivery` is handed what is known of the delivery. The function can still be called.
///
/// Options: the topic's static, the name as a string literal (without it, the function's name), and
/// - `max_concurrency = 100`: how many messages one process handles at once;
/// - `ack_deadline = "30s"`: how long the handler may take before the message is delivered again;
/// - `retention = "7d"`: how long an unacknowledged message is kept;
/// - `min_backoff = "10s"`, `max_backoff = "10m"`: the wait before a redelivery, which doubles from one to the other;
/// - `max_retries = 100`, or `"infinite"`: how many redeliveries before the message is dead-lettered;
/// - `filter = country == "DE" && kind != "test"`: which messages it wants, by their attributes. There is one condition
///   for each attribute: `attr == value`, `attr != value` (several are possible), `attr.starts_with("text")`,
///   `(attr == a || attr == b)`, or `attr` and `!attr` for a `bool`;
/// - `idempotent_in = ORDERS`: a database that records what was handled in the transaction that `Delivery::tx` gives the
///   handler, so that what the handler does there happens once, however often the message is delivered.
#[proc_macro_attribute]
pub fn subscription(options: TokenStream, item: TokenStream) -> TokenStream {
    subscription::attribute(options.into(), item.into()).into()
}

/// Declares a job that runs on a schedule, in UTC: an `async fn() -> Result<(), E>`. Needs the feature `cron`.
///
/// Options: the id as a string literal (without it, the function's name), `title = "…"` for people, and exactly one of
/// - `every = "1h"`: a period that divides 24 hours, counted from midnight;
/// - `schedule = "0 9 * * 1"`: a cron expression of five fields.
#[proc_macro_attribute]
pub fn cron(options: TokenStream, item: TokenStream) -> TokenStream {
    cron::attribute(options.into(), item.into()).into()
}

/// Declares an object storage bucket, on `static NAME: Bucket;`.
///
/// Options: the name as a string literal (kebab-case; without it, the static's name), and the flags
/// - `public`: anybody may read its objects by URL;
/// - `versioned`: old versions of objects are kept.
#[proc_macro_attribute]
pub fn bucket(options: TokenStream, item: TokenStream) -> TokenStream {
    bucket::attribute(options.into(), item.into()).into()
}

/// Declares a cache cluster, on `static NAME: CacheCluster;`.
///
/// Options: the name as a string literal (kebab-case; without it, the static's name), and
/// - `eviction = "allkeys-lru"`: what is dropped when memory is full, by the names of Redis.
#[proc_macro_attribute]
pub fn cache(options: TokenStream, item: TokenStream) -> TokenStream {
    cache::attribute(options.into(), item.into()).into()
}

/// Declares typed keys and values in a cache cluster, on a static of a keyspace type such as `IntKeyspace<K>`.
///
/// Options: the cluster's static, the key pattern as a string literal, in which `:field` stands for each field of the
/// key type (`:key` for a text, an integer or a `bool`), and
/// - `expiry = "10s"`: after how long a value that is written expires; without it, never.
#[proc_macro_attribute]
pub fn keyspace(options: TokenStream, item: TokenStream) -> TokenStream {
    keyspace::attribute(options.into(), item.into()).into()
}

/// Declares a secret value, on `static NAME: Secret;` or `Secret<T>` for a type that is read from text. Calling the
/// static gives the value.
///
/// Option: the name as a string literal (an identifier; without it, the static's name).
#[proc_macro_attribute]
pub fn secret(options: TokenStream, item: TokenStream) -> TokenStream {
    secret::attribute(options.into(), item.into()).into()
}

/// Declares an HTTP endpoint, served by any axum handler.
///
/// Options:
/// - `method = GET`, or several: `[GET, POST]`;
/// - `path = "/orders/{id}"`, in axum's syntax;
/// - one of the flags `public` (anybody), `auth` (whom the application's auth handler accepts) and `private` (other
///   services of the application only; the default).
#[proc_macro_attribute]
pub fn api(options: TokenStream, item: TokenStream) -> TokenStream {
    api::attribute(options.into(), item.into()).into()
}

/// Declares an `async fn() -> Result<(), E>` that fills databases, buckets or topics with example data. It is run by
/// `cargo underlay db seed`, and otherwise never.
#[proc_macro_attribute]
pub fn seed(options: TokenStream, item: TokenStream) -> TokenStream {
    seed::attribute(options.into(), item.into()).into()
}

/// Declares the use of another service's resource, on a static of type `TopicRef<T, P>`, `BucketRef<P>`,
/// `DatabaseRef<P>` or `CacheRef<P>`, where `P` is a permission or a tuple of them.
///
/// Option: the resource's static.
#[proc_macro_attribute]
pub fn reference(options: TokenStream, item: TokenStream) -> TokenStream {
    reference::attribute(options.into(), item.into()).into()
}

/// Names the service that the declarations of a module, and of the modules in it, belong to:
/// `underlay::service!("billing");`. Without it, the service is the cargo package.
#[proc_macro]
pub fn service(name: TokenStream) -> TokenStream {
    service::invocation(name.into()).into()
}

/// Makes an `async fn main` the program: runs it on a multi-threaded runtime, tells an error on standard error and
/// turns it into an exit code. Names the application in the model.
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    entry::main(options.into(), item.into()).into()
}

/// Makes an `async fn` a test with databases, topics, buckets, caches and secrets of its own.
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    entry::test(options.into(), item.into()).into()
}

/// Makes a struct with named fields, or an enum, a message that topics carry. It needs serde's derives, too.
///
/// A field with `#[message(attribute)]` is also sent as a message attribute.
#[proc_macro_derive(Message, attributes(message))]
pub fn derive_message(item: TokenStream) -> TokenStream {
    message::derive(item.into()).into()
}

/// Makes a struct with named fields, each a text, an integer or a `bool`, a key of keyspaces.
#[proc_macro_derive(CacheKey)]
pub fn derive_cache_key(item: TokenStream) -> TokenStream {
    cache_key::derive(item.into()).into()
}
