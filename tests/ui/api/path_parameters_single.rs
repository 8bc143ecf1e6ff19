//! More parameters than the handler takes.

use underlay::prelude::*;

use underlay::axum::extract::Path;

#[api(method = GET, path = "/orders/{order}/items/{item}")]
async fn order(Path(id): Path<i64>) -> String {
    id.to_string()
}

fn main() {}
