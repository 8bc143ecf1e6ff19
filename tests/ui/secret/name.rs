//! A name that is no identifier.

use underlay::prelude::*;

#[secret("stripe-key")]
static STRIPE_KEY: Secret;

fn main() {}
