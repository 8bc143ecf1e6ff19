//! A resource attribute on a function.

use underlay::prelude::*;

#[bucket("uploads")]
fn uploads() {}

fn main() {}
