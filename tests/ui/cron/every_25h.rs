//! A period over a day.

use underlay::prelude::*;

#[cron("clean-up", every = "25h")]
async fn clean_up() -> underlay::Result<()> {
    Ok(())
}

fn main() {}
