//! A parameter with a colon.

use underlay::prelude::*;

#[api(method = GET, path = "/orders/:id")]
async fn order() -> &'static str {
    "an order"
}

fn main() {}
