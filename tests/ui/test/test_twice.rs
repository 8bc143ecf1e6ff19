//! A test that is one already.

#[underlay::test]
#[test]
async fn works() {}

fn main() {}
