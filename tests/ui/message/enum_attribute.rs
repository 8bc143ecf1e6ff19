//! An attribute in an enum.

use underlay::prelude::*;

#[derive(Message, Serialize, Deserialize)]
pub enum CartEvent {
    Added {
        #[message(attribute)]
        cart_id: String,
    },
}

fn main() {}
