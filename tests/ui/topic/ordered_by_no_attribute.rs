//! `ordered_by` names a field that is no attribute.

use underlay::prelude::*;

#[derive(Message, Serialize, Deserialize)]
pub struct CartEvent {
    #[message(attribute)]
    pub cart_id: String,
    pub total: i64,
}

#[topic("cart-events", ordered_by = total)]
static CART_EVENTS: Topic<CartEvent>;

fn main() {}
