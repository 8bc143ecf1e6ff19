//! `ordered_by` of a message without attributes.

use underlay::prelude::*;

#[derive(Message, Serialize, Deserialize)]
pub struct Tick {
    count: i64,
}

#[topic("ticks", ordered_by = count)]
static TICKS: Topic<Tick>;

fn main() {}
