//! A seed that is not async.

#[underlay::seed]
fn seed() -> underlay::Result<()> {
    Ok(())
}

fn main() {}
