//! A migrations directory without a value.

use underlay::prelude::*;

#[database("orders", migrations)]
static ORDERS: Database;

fn main() {}
