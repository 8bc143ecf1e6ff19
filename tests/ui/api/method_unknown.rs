//! A method that does not exist.

use underlay::prelude::*;

#[api(method = FETCH, path = "/orders")]
async fn order() -> &'static str {
    "an order"
}

fn main() {}
