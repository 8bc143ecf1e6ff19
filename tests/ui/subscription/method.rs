//! A handler with `self`.

use underlay::prelude::*;

#[derive(Message, Serialize, Deserialize)]
pub struct CartEvent {
    #[message(attribute)]
    pub cart_id: String,
    pub total: i64,
}

#[topic("cart-events")]
pub static CART_EVENTS: Topic<CartEvent>;

struct Mailer;

impl Mailer {
    #[subscription(CART_EVENTS, "send-email")]
    async fn handle(&self, _: CartEvent) -> underlay::Result<()> {
        Ok(())
    }
}

fn main() {}
