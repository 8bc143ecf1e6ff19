//! A handler that is not async.

use underlay::prelude::*;

#[cron("clean-up", every = "1h")]
fn clean_up() -> underlay::Result<()> {
    Ok(())
}

fn main() {}
