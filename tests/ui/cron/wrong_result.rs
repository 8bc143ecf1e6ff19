//! A handler that returns no result.

use underlay::prelude::*;

#[cron("clean-up", every = "1h")]
async fn clean_up() -> u32 {
    1
}

fn main() {}
