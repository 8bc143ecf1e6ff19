//! A migrations directory that is no text.

use underlay::prelude::*;

#[database("orders", migrations = migrations)]
static ORDERS: Database;

fn main() {}
