//! A name; endpoints have none.

use underlay::prelude::*;

#[api("orders", method = GET, path = "/orders")]
async fn order() -> &'static str {
    "an order"
}

fn main() {}
