//! An option; `main` has none.

#[underlay::main(flavor = "current_thread")]
async fn main() {}
