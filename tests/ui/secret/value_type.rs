//! A secret of a type that cannot be read from a text.

use underlay::prelude::*;

pub struct Key;

#[secret("StripeKey")]
static STRIPE_KEY: Secret<Key>;

fn main() {}
