//! A database that is declared elsewhere, with a name of its own.

use underlay::prelude::*;

#[database("orders", named = "orders")]
static ORDERS: Database;

fn main() {}
