//! A misspelt option.

use underlay::prelude::*;

#[database("orders", migration = "migrations")]
static ORDERS: Database;

fn main() {}
