//! An option that does not exist.

use underlay::prelude::*;

#[derive(Message, Serialize, Deserialize)]
pub struct CartEvent {
    #[message(attribute)]
    pub cart_id: String,
    pub total: i64,
}

#[topic("cart-events", partitions = 4)]
static CART_EVENTS: Topic<CartEvent>;

fn main() {}
