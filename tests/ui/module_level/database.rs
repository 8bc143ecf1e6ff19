//! `#[database]` inside a function.

use underlay::prelude::*;

fn f() {
    #[database("orders")]
    static ORDERS: Database;
}

fn main() {}
