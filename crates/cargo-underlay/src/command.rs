//! The subcommands, one file each.

pub(crate) mod build;
pub(crate) mod check;
pub(crate) mod db;
pub(crate) mod doctor;
pub(crate) mod down;
pub(crate) mod exec;
pub(crate) mod model;
pub(crate) mod namespace;
pub(crate) mod postgres;
pub(crate) mod ps;
pub(crate) mod reset;
pub(crate) mod topic;
pub(crate) mod up;
