//! A cron expression by nickname.

use underlay::prelude::*;

#[cron("clean-up", schedule = "@daily")]
async fn clean_up() -> underlay::Result<()> {
    Ok(())
}

fn main() {}
