//! A period that does not divide a day.

use underlay::prelude::*;

#[cron("clean-up", every = "7h")]
async fn clean_up() -> underlay::Result<()> {
    Ok(())
}

fn main() {}
