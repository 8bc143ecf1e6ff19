//! Fewer parameters than the handler takes.

use underlay::prelude::*;

use underlay::axum::extract::Path;

#[api(method = GET, path = "/orders/{id}")]
async fn order(Path((order, item)): Path<(i64, i64)>) -> String {
    format!("{order} {item}")
}

fn main() {}
