//! A handler whose future cannot change threads.

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
async fn handle(event: CartEvent) -> underlay::Result<()> {
    let shared = std::rc::Rc::new(event);
    std::future::ready(()).await;
    drop(shared);
    Ok(())
}

fn main() {}
