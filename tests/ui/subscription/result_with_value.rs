//! A handler whose result has a value.

use underlay::prelude::*;

#[derive(Message, Serialize, Deserialize)]
pub struct CartEvent {
    #[message(attribute)]
    pub cart_id: String,
    pub total: i64,
}

#[topic("cart-events")]
pub static CART_EVENTS: Topic<CartEvent>;

#[subscription(CART_EVENTS, "send-email")]
async fn handle(event: CartEvent) -> underlay::Result<i64> {
    Ok(event.total)
}

fn main() {}
