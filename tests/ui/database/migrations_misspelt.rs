//! A migrations directory with a misspelt name.

use underlay::prelude::*;

#[database("orders", migrations = "fixtures/migratons")]
static ORDERS: Database;

fn main() {}
