//! Two conditions on one attribute.

use underlay::prelude::*;

#[derive(Message, Serialize, Deserialize)]
pub struct CartEvent {
    #[message(attribute)]
    pub cart_id: String,
    #[message(attribute)]
    pub country: String,
    #[message(attribute)]
    pub urgent: bool,
    pub total: i64,
}

#[topic("cart-events")]
pub static CART_EVENTS: Topic<CartEvent>;

#[subscription(CART_EVENTS, "send-email", filter = country != "DE" && country != "AT" && country.starts_with("F"))]
async fn handle(_: CartEvent) -> underlay::Result<()> {
    Ok(())
}

fn main() {}
