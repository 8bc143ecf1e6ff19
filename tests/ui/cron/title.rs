//! A title that is no text.

use underlay::prelude::*;

#[cron("clean-up", title = 7, every = "1h")]
async fn clean_up() -> underlay::Result<()> {
    Ok(())
}

fn main() {}
