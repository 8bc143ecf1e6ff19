//! A seed that is not async.

use underlay::prelude::*;

#[underlay::seed]
fn seed() -> underlay::Result<()> {
    Ok(())
}

fn main() {}
