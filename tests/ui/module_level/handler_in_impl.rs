//! A handler in an `impl`, without `self`.

use underlay::prelude::*;

#[derive(Message, Serialize, Deserialize)]
pub struct CartEvent {
    #[message(attribute)]
    pub cart_id: String,
    pub total: i64,
}

#[topic("cart-events")]
pub static CART_EVENTS: Topic<CartEvent>;

struct Handlers;

impl Handlers {
    #[subscription(CART_EVENTS)]
    async fn handle(_: CartEvent) -> underlay::Result<()> {
        Ok(())
    }
}

fn main() {}
