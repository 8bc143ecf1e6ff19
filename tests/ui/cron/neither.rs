//! Neither a period nor a schedule.

use underlay::prelude::*;

#[cron("clean-up")]
async fn clean_up() -> underlay::Result<()> {
    Ok(())
}

fn main() {}
