//! A service name that is not kebab-case.

underlay::service!("Billing");

fn main() {}
