//! A `main` that returns something else.

#[underlay::main]
async fn main() -> u32 {
    0
}
