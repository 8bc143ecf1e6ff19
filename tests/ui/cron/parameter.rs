//! A handler with a parameter.

use underlay::prelude::*;

#[cron("clean-up", every = "1h")]
async fn clean_up(_: u32) -> underlay::Result<()> {
    Ok(())
}

fn main() {}
