//! An attribute that is no text, integer or `bool`.

use underlay::prelude::*;

#[derive(Message, Serialize, Deserialize)]
pub struct CartEvent {
    #[message(attribute)]
    lines: Vec<String>,
}

fn main() {}
