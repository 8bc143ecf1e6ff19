//! No path.

use underlay::prelude::*;

#[api(method = GET)]
async fn order() -> &'static str {
    "an order"
}

fn main() {}
