//! A seed that returns nothing.

#[underlay::seed]
async fn seed() {}

fn main() {}
