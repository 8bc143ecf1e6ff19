//! A resource attribute on a struct.

use underlay::prelude::*;

#[bucket("uploads")]
pub struct Uploads;

fn main() {}
