//! A service name without quotes.

underlay::service!(billing);

fn main() {}
