//! A cron expression of four fields.

use underlay::prelude::*;

#[cron("clean-up", schedule = "0 9 * *")]
async fn clean_up() -> underlay::Result<()> {
    Ok(())
}

fn main() {}
