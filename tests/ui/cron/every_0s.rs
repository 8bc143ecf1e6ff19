//! No period.

use underlay::prelude::*;

#[cron("clean-up", every = "0s")]
async fn clean_up() -> underlay::Result<()> {
    Ok(())
}

fn main() {}
