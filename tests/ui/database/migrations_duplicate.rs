//! A migration number that is used twice.

use underlay::prelude::*;

#[database("orders", migrations = "fixtures/duplicate")]
static ORDERS: Database;

fn main() {}
