//! A migration file with a bad name.

use underlay::prelude::*;

#[database("orders", migrations = "fixtures/badly-named")]
static ORDERS: Database;

fn main() {}
