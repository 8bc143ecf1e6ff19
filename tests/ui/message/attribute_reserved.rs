//! An attribute whose name is reserved.

use underlay::prelude::*;

#[derive(Message, Serialize, Deserialize)]
pub struct CartEvent {
    #[message(attribute)]
    underlay_id: String,
}

fn main() {}
