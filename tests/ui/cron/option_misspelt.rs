//! A misspelt option.

use underlay::prelude::*;

#[cron("clean-up", evry = "1h")]
async fn clean_up() -> underlay::Result<()> {
    Ok(())
}

fn main() {}
