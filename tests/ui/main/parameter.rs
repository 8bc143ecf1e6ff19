//! A `main` with a parameter.

#[underlay::main]
async fn main(_: u32) {}
