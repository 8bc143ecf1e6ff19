//! A database that is declared elsewhere, under a name that none can have.

use underlay::prelude::*;

#[database(named = "Orders!")]
static ORDERS: Database;

fn main() {}
