//! A seed that returns nothing.

use underlay::prelude::*;

#[underlay::seed]
async fn seed() {}

fn main() {}
