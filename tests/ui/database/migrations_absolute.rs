//! An absolute migrations directory.

use underlay::prelude::*;

#[database("orders", migrations = "/srv/migrations")]
static ORDERS: Database;

fn main() {}
