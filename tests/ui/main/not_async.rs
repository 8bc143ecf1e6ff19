//! A `main` that is not async.

#[underlay::main]
fn main() {}
