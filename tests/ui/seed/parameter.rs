//! A seed with a parameter.

#[underlay::seed]
async fn seed(_: u32) -> underlay::Result<()> {
    Ok(())
}

fn main() {}
