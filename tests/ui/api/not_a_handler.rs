//! A function that axum cannot call.

use underlay::prelude::*;

#[api(method = GET, path = "/orders")]
async fn order(_: u32) -> &'static str {
    "an order"
}

fn main() {}
