//! `underlay::service!` inside a function.

fn f() {
    underlay::service!("billing");
}

fn main() {}
