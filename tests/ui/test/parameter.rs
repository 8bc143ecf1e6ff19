//! A test with a parameter.

#[underlay::test]
async fn works(_: u32) {}

fn main() {}
