//! `#[api]` inside a function.

use underlay::prelude::*;

fn f() {
    #[api(method = GET, path = "/health")]
    async fn health() -> &'static str {
        "well"
    }
}

fn main() {}
