//! One endpoint, one database: `cargo run -p hello`, then `curl localhost:4000/hello/world`.

use underlay::axum::extract::Path;
use underlay::prelude::*;

#[database("hello", migrations = "../../migrations-example/hello")]
static HELLO: Database;

/// Greets, and counts how often.
#[api(method = GET, path = "/hello/{name}", public)]
async fn hello(Path(name): Path<String>) -> underlay::Result<String> {
    let count: i64 = sqlx::query_scalar(
        "INSERT INTO visits VALUES ($1, 1) ON CONFLICT (name) DO UPDATE SET count = visits.count + 1 RETURNING count",
    )
    .bind(&name)
    .fetch_one(&*HELLO)
    .await?;
    Ok(format!("hello, {name}, for the {count}. time\n"))
}

#[underlay::main]
async fn main() -> underlay::Result<()> {
    underlay::run().await
}

#[underlay::test]
async fn greets_and_counts() -> underlay::Result<()> {
    assert_eq!(
        hello(Path("you".into())).await?,
        "hello, you, for the 1. time\n"
    );
    assert_eq!(
        hello(Path("you".into())).await?,
        "hello, you, for the 2. time\n"
    );
    Ok(())
}
