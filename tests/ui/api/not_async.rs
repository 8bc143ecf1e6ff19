//! A handler that is not async.

use underlay::prelude::*;

#[api(method = GET, path = "/orders")]
fn order() -> &'static str {
    "an order"
}

fn main() {}
