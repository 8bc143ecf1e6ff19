//! A cron expression of six fields.

use underlay::prelude::*;

#[cron("clean-up", schedule = "0 0 9 * * 1")]
async fn clean_up() -> underlay::Result<()> {
    Ok(())
}

fn main() {}
