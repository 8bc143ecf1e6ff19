//! A handler that takes a parameter of a path that has none.

use underlay::prelude::*;

use underlay::axum::extract::Path;

#[api(method = GET, path = "/orders")]
async fn order(Path(id): Path<i64>) -> String {
    id.to_string()
}

fn main() {}
