//! A function that is not `main`.

#[underlay::main]
async fn start() {}

fn main() {}
