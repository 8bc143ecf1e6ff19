//! A database name that mixes `-` and `_`.

use underlay::prelude::*;

#[database("order-items_archive")]
static ORDERS: Database;

fn main() {}
