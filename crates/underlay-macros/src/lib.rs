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
mod service;
mod source;
mod static_item;
mod subscription;
mod topic;
mod type_text;

use proc_macro::TokenStream;

/// Declares a PostgreSQL database.
#[proc_macro_attribute]
pub fn database(options: TokenStream, item: TokenStream) -> TokenStream {
    database::attribute(options.into(), item.into()).into()
}

/// Declares a topic.
#[proc_macro_attribute]
pub fn topic(options: TokenStream, item: TokenStream) -> TokenStream {
    topic::attribute(options.into(), item.into()).into()
}

/// Declares a subscription to a topic, handled by an `async fn`.
#[proc_macro_attribute]
pub fn subscription(options: TokenStream, item: TokenStream) -> TokenStream {
    subscription::attribute(options.into(), item.into()).into()
}

/// Declares a job that runs on a schedule, in UTC.
#[proc_macro_attribute]
pub fn cron(options: TokenStream, item: TokenStream) -> TokenStream {
    cron::attribute(options.into(), item.into()).into()
}

/// Declares an object storage bucket.
#[proc_macro_attribute]
pub fn bucket(options: TokenStream, item: TokenStream) -> TokenStream {
    bucket::attribute(options.into(), item.into()).into()
}

/// Declares a cache cluster.
#[proc_macro_attribute]
pub fn cache(options: TokenStream, item: TokenStream) -> TokenStream {
    cache::attribute(options.into(), item.into()).into()
}

/// Declares typed keys and values in a cache cluster.
#[proc_macro_attribute]
pub fn keyspace(options: TokenStream, item: TokenStream) -> TokenStream {
    keyspace::attribute(options.into(), item.into()).into()
}

/// Declares a secret value.
#[proc_macro_attribute]
pub fn secret(options: TokenStream, item: TokenStream) -> TokenStream {
    secret::attribute(options.into(), item.into()).into()
}

/// Declares an HTTP endpoint, served by an axum handler.
#[proc_macro_attribute]
pub fn api(options: TokenStream, item: TokenStream) -> TokenStream {
    api::attribute(options.into(), item.into()).into()
}

/// Declares the use of another service's resource.
#[proc_macro_attribute]
pub fn reference(options: TokenStream, item: TokenStream) -> TokenStream {
    reference::attribute(options.into(), item.into()).into()
}

/// Names the service that the declarations of a module, and of the modules in it, belong to.
#[proc_macro]
pub fn service(name: TokenStream) -> TokenStream {
    service::invocation(name.into()).into()
}

/// Makes an `async fn main` the program.
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    entry::main(options.into(), item.into()).into()
}

/// Makes an `async fn` a test with databases, topics, buckets, caches and secrets of its own.
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    entry::test(options.into(), item.into()).into()
}

/// Makes a struct or enum a message that topics carry.
#[proc_macro_derive(Message, attributes(message))]
pub fn derive_message(item: TokenStream) -> TokenStream {
    message::derive(item.into()).into()
}

/// Makes a struct a key of keyspaces.
#[proc_macro_derive(CacheKey)]
pub fn derive_cache_key(item: TokenStream) -> TokenStream {
    cache_key::derive(item.into()).into()
}
