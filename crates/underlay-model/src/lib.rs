//! The two documents of Underlay, and the rules about what they may say.
//!
//! - [`model`]: what a binary declares (application → tools).
//! - `infra`: where each declared resource is (tools → application); feature `infra`, with the whole-model `check`.
//!
//! This crate does no IO and knows no cloud client. It is the only crate whose public types are serialised.

#[cfg(feature = "infra")]
pub mod check;
pub mod cron_expression;
pub mod delivery;
pub mod duration;
pub mod endpoint_path;
pub mod filter;
pub mod fragment;
#[cfg(feature = "infra")]
pub mod infra;
pub mod key_pattern;
pub mod migration;
pub mod model;
pub mod name;
pub mod nearest;
pub mod problem;
pub mod schedule;
#[cfg(feature = "schema")]
pub mod schema;

#[cfg(feature = "infra")]
pub use infra::InfraConfig;
pub use model::{Declaration, Model, Source};
pub use problem::{Problem, Severity};
