//! `underlay::service!` inside a function.

use underlay::prelude::*;

fn f() {
    underlay::service!("billing");
}

fn main() {}
