//! An option; secrets have none.

use underlay::prelude::*;

#[secret("StripeKey", rotate = "30d")]
static STRIPE_KEY: Secret;

fn main() {}
