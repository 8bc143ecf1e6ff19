//! A message without fields.

use underlay::prelude::*;

#[derive(Message, Serialize, Deserialize)]
pub struct CartEvent;

fn main() {}
