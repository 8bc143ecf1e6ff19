//! A method in lower case.

use underlay::prelude::*;

#[api(method = get, path = "/orders")]
async fn order() -> &'static str {
    "an order"
}

fn main() {}
