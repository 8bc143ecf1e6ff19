//! A message without field names.

use underlay::prelude::*;

#[derive(Message, Serialize, Deserialize)]
pub struct CartEvent(String);

fn main() {}
