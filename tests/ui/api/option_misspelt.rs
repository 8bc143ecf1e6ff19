//! A misspelt option.

use underlay::prelude::*;

#[api(method = GET, path = "/orders", pubic)]
async fn order() -> &'static str {
    "an order"
}

fn main() {}
