//! No method.

use underlay::prelude::*;

#[api(path = "/orders")]
async fn order() -> &'static str {
    "an order"
}

fn main() {}
