//! `examples/hello` without Underlay: the same endpoint, the same migration, on axum, sqlx and tracing alone. The bench
//! `compile` builds it.

use std::env;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::Router;
use sqlx::PgPool;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Greets, and counts how often.
async fn hello(State(pool): State<PgPool>, Path(name): Path<String>) -> Result<String, (StatusCode, String)> {
    let count: i64 = sqlx::query_scalar(
        "INSERT INTO visits VALUES ($1, 1) ON CONFLICT (name) DO UPDATE SET count = visits.count + 1 RETURNING count",
    )
    .bind(&name)
    .fetch_one(&pool)
    .await
    .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(format!("hello, {name}, for the {count}. time\n"))
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let pool = PgPool::connect(&env::var("DATABASE_URL")?).await?;
    sqlx::migrate!().run(&pool).await?;
    let router = Router::new().route("/hello/{name}", get(hello)).with_state(pool.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:4000").await?;
    tracing::info!("listening on http://{}", listener.local_addr()?);
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    axum::serve(listener, router).with_graceful_shutdown(stop).await?;
    pool.close().await;
    Ok(())
}
