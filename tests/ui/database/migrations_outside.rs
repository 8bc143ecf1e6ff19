//! A migrations directory outside of the workspace.

use underlay::prelude::*;

#[database("orders", migrations = "../../../../../../../migrations")]
static ORDERS: Database;

fn main() {}
