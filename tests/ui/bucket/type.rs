//! A static of the wrong type.

use underlay::prelude::*;

#[bucket("uploads")]
static UPLOADS: Database;

fn main() {}
