//! A flag with a value that is none.

use underlay::prelude::*;

#[database("orders", outbox = "orders")]
static ORDERS: Database;

fn main() {}
