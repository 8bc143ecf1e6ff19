//! A seed with a parameter.

use underlay::prelude::*;

#[underlay::seed]
async fn seed(_: u32) -> underlay::Result<()> {
    Ok(())
}

fn main() {}
