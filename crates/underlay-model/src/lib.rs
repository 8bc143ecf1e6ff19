//! The two documents of Underlay, and the rules about what they may say.
//!
//! - [`model`]: what a binary declares (application → tools).
//! - [`infra`]: where each declared resource is (tools → application).
//!
//! This crate does no IO and knows no cloud client. It is the only crate whose public types are serialised.

pub mod fragment;
pub mod infra;
pub mod model;
pub mod problem;

pub use infra::InfraConfig;
pub use model::{Declaration, Model, Source};
pub use problem::{Problem, Severity};
