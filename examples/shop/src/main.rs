//! A shop: orders, their invoices, sessions and payments. `cargo run -p shop`.
//!
//! Each module is a service with the infrastructure it needs declared at its top. There is no configuration file:
//! `cargo run` starts what is declared.

mod files;
mod orders;
mod payments;
mod sessions;

#[underlay::main]
async fn main() -> underlay::Result<()> {
    underlay::run().await
}
