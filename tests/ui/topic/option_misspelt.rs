//! A misspelt option.

use underlay::prelude::*;

#[derive(Message, Serialize, Deserialize)]
pub struct CartEvent {
    #[message(attribute)]
    pub cart_id: String,
    pub total: i64,
}

#[topic("cart-events", order_by = cart_id)]
static CART_EVENTS: Topic<CartEvent>;

fn main() {}
