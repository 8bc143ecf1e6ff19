//! Two kinds of access.

use underlay::prelude::*;

#[api(method = GET, path = "/orders", public, auth)]
async fn order() -> &'static str {
    "an order"
}

fn main() {}
