//! A database that is declared elsewhere, with migrations.

use underlay::prelude::*;

#[database(named = "orders", migrations = "fixtures/good")]
static ORDERS: Database;

fn main() {}
