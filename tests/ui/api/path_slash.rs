//! A path without its slash.

use underlay::prelude::*;

#[api(method = GET, path = "orders")]
async fn order() -> &'static str {
    "an order"
}

fn main() {}
