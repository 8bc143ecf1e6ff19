//! A `#[message]` that says nothing.

use underlay::prelude::*;

#[derive(Message, Serialize, Deserialize)]
pub struct CartEvent {
    #[message]
    cart_id: String,
}

fn main() {}
