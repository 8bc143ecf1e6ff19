//! A method that is given twice.

use underlay::prelude::*;

#[api(method = [GET, GET], path = "/orders")]
async fn order() -> &'static str {
    "an order"
}

fn main() {}
