//! A misspelt `attribute`.

use underlay::prelude::*;

#[derive(Message, Serialize, Deserialize)]
pub struct CartEvent {
    #[message(atribute)]
    cart_id: String,
}

fn main() {}
