//! A static of the wrong type.

use underlay::prelude::*;

#[database("orders")]
static ORDERS: String;

fn main() {}
