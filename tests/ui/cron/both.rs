//! A period and a schedule.

use underlay::prelude::*;

#[cron("clean-up", every = "1h", schedule = "0 9 * * 1")]
async fn clean_up() -> underlay::Result<()> {
    Ok(())
}

fn main() {}
