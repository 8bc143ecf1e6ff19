//! A handler that is not plain.

use underlay::prelude::*;

#[derive(Message, Serialize, Deserialize)]
pub struct CartEvent {
    #[message(attribute)]
    pub cart_id: String,
    pub total: i64,
}

#[topic("cart-events")]
pub static CART_EVENTS: Topic<CartEvent>;

#[subscription(CART_EVENTS)]
async unsafe extern "C" fn handle(_: CartEvent) -> underlay::Result<()> {
    Ok(())
}

fn main() {}
