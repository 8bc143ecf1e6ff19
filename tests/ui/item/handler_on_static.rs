//! A handler attribute on a static.

use underlay::prelude::*;

#[derive(Message, Serialize, Deserialize)]
pub struct CartEvent {
    #[message(attribute)]
    pub cart_id: String,
    pub total: i64,
}

#[topic("cart-events")]
pub static CART_EVENTS: Topic<CartEvent>;

#[subscription(CART_EVENTS)]
static HANDLER: u32 = 1;

fn main() {}
