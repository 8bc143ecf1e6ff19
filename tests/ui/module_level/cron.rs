//! `#[cron]` inside a function.

use underlay::prelude::*;

fn f() {
    #[cron(every = "1h")]
    async fn clean_up() -> underlay::Result<()> {
        Ok(())
    }
}

fn main() {}
