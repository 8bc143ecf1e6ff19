//! A service without a name.

underlay::service!();

fn main() {}
