//! A parameter that is given twice.

use underlay::prelude::*;

#[api(method = GET, path = "/orders/{id}/items/{id}")]
async fn order() -> &'static str {
    "an order"
}

fn main() {}
