//! A cron expression with a minute that does not exist.

use underlay::prelude::*;

#[cron("clean-up", schedule = "60 9 * * 1")]
async fn clean_up() -> underlay::Result<()> {
    Ok(())
}

fn main() {}
