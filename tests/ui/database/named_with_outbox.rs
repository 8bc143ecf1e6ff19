//! An outbox where the database is declared elsewhere.

use underlay::prelude::*;

#[database(named = "orders", outbox)]
static ORDERS: Database;

fn main() {}
