//! Several mistakes in a migrations directory, all told.

use underlay::prelude::*;

#[database("orders", migrations = "fixtures/several")]
static ORDERS: Database;

fn main() {}
