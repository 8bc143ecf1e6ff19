//! `#[reference]` inside a function.

use underlay::prelude::*;

#[derive(Message, Serialize, Deserialize)]
pub struct CartEvent {
    #[message(attribute)]
    pub cart_id: String,
    pub total: i64,
}

#[topic("cart-events")]
pub static CART_EVENTS: Topic<CartEvent>;

fn f() {
    #[reference(CART_EVENTS)]
    static EVENTS: TopicRef<CartEvent>;
}

fn main() {}
