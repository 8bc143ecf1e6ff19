//! `#[topic]` inside a function.

use underlay::prelude::*;

#[derive(Message, Serialize, Deserialize)]
pub struct CartEvent {
    #[message(attribute)]
    pub cart_id: String,
    pub total: i64,
}

fn f() {
    #[topic("cart-events")]
    static CART_EVENTS: Topic<CartEvent>;
}

fn main() {}
