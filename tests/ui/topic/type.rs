//! A static of the wrong type.

use underlay::prelude::*;

#[topic("cart-events")]
static CART_EVENTS: u32;

fn main() {}
