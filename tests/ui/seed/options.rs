//! A seed with an option.

#[underlay::seed("orders")]
async fn seed() -> underlay::Result<()> {
    Ok(())
}

fn main() {}
