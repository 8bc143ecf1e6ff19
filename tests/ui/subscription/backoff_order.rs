//! A longest backoff that is less than the shortest.

use underlay::prelude::*;

#[derive(Message, Serialize, Deserialize)]
pub struct CartEvent {
    #[message(attribute)]
    pub cart_id: String,
    pub total: i64,
}

#[topic("cart-events")]
pub static CART_EVENTS: Topic<CartEvent>;

#[subscription(CART_EVENTS, "send-email", min_backoff = "2m", max_backoff = "1m")]
async fn handle(_: CartEvent) -> underlay::Result<()> {
    Ok(())
}

fn main() {}
