//! An option without its value.

use underlay::prelude::*;

#[derive(Message, Serialize, Deserialize)]
pub struct CartEvent {
    #[message(attribute)]
    pub cart_id: String,
    pub total: i64,
}

#[topic("cart-events", ordered_by = )]
static CART_EVENTS: Topic<CartEvent>;

fn main() {}
