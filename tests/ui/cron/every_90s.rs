//! A period that is no number of minutes.

use underlay::prelude::*;

#[cron("clean-up", every = "90s")]
async fn clean_up() -> underlay::Result<()> {
    Ok(())
}

fn main() {}
