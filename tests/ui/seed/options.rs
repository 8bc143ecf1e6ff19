//! A seed with an option.

use underlay::prelude::*;

#[underlay::seed("orders")]
async fn seed() -> underlay::Result<()> {
    Ok(())
}

fn main() {}
