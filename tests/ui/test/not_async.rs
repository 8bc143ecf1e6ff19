//! A test that is not async.

#[underlay::test]
fn works() {}

fn main() {}
