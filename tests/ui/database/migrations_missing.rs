//! A migrations directory that does not exist.

use underlay::prelude::*;

#[database("orders", migrations = "schema")]
static ORDERS: Database;

fn main() {}
