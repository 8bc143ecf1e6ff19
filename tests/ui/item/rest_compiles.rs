//! A mistake does not spread: what names the topic compiles.

use underlay::prelude::*;

#[derive(Message, Serialize, Deserialize)]
pub struct CartEvent {
    #[message(attribute)]
    pub cart_id: String,
    pub total: i64,
}

#[topic("cart-events", delivry = "at-least-once")]
pub static CART_EVENTS: Topic<CartEvent>;

#[subscription(CART_EVENTS)]
async fn handle(_: CartEvent) -> underlay::Result<()> {
    Ok(())
}

#[reference(CART_EVENTS)]
static EVENTS: TopicRef<CartEvent>;

async fn f(event: &CartEvent) -> underlay::Result<underlay::MessageId> {
    EVENTS.publish(event).await?;
    CART_EVENTS.publish(event).await
}

fn main() {}
