//! The subcommands, one file each.

pub(crate) mod build;
pub(crate) mod check;
pub(crate) mod exec;
pub(crate) mod model;
pub(crate) mod namespace;
pub(crate) mod up;
