//! A misspelt delivery guarantee.

use underlay::prelude::*;

#[derive(Message, Serialize, Deserialize)]
pub struct CartEvent {
    #[message(attribute)]
    pub cart_id: String,
    pub total: i64,
}

#[topic("cart-events", delivery = "exactly_once")]
static CART_EVENTS: Topic<CartEvent>;

fn main() {}
