//! A message type without the derive.

use underlay::prelude::*;

pub struct CartEvent;

#[topic("cart-events")]
pub static CART_EVENTS: Topic<CartEvent>;

fn main() {}
