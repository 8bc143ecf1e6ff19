//! A handler that returns nothing.

use underlay::prelude::*;

#[cron("clean-up", every = "1h")]
async fn clean_up() {}

fn main() {}
