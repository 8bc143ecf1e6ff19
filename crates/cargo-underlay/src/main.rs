//! The `cargo underlay` command.

fn main() {}
