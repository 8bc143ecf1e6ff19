//! A migrations directory that is a file.

use underlay::prelude::*;

#[database("orders", migrations = "fixtures/file.txt")]
static ORDERS: Database;

fn main() {}
