//! A `#[message]` on the struct.

use underlay::prelude::*;

#[derive(Message, Serialize, Deserialize)]
#[message(attribute)]
pub struct CartEvent {
    cart_id: String,
}

fn main() {}
