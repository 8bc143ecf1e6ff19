//! A misspelt method.

use underlay::prelude::*;

#[api(method = [GET, DELTE], path = "/orders")]
async fn order() -> &'static str {
    "an order"
}

fn main() {}
