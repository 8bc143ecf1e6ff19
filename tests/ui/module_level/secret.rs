//! `#[secret]` inside a function.

use underlay::prelude::*;

fn f() {
    #[secret("StripeKey")]
    static STRIPE_KEY: Secret;
}

fn main() {}
