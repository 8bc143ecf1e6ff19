//! A period with an unknown unit.

use underlay::prelude::*;

#[cron("clean-up", every = "1 hour")]
async fn clean_up() -> underlay::Result<()> {
    Ok(())
}

fn main() {}
