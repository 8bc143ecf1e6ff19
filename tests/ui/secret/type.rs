//! A static of the wrong type.

use underlay::prelude::*;

#[secret("StripeKey")]
static STRIPE_KEY: String;

fn main() {}
