//! Everything that needs more than one crate or a server.

pub mod bench;
