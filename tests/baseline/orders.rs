//! What the shop example's start does, without Underlay: connect, migrate, listen, on axum and sqlx alone. The bench
//! `start` runs it. With `--wait` it is the client that waits for the first query of a bare server.

use std::env;
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, FromRow, PgConnection, PgPool};
use tokio::signal::unix::{SignalKind, signal};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Deserialize)]
struct NewOrder {
    customer: String,
    item: String,
    quantity: i32,
}

#[derive(Serialize, FromRow)]
struct Order {
    id: i64,
    customer: String,
    item: String,
    quantity: i32,
    status: String,
}

fn refused(error: sqlx::Error) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

async fn place_order(
    State(pool): State<PgPool>,
    Json(new): Json<NewOrder>,
) -> Result<(StatusCode, Json<i64>), (StatusCode, String)> {
    let id = sqlx::query_scalar("INSERT INTO orders (customer, item, quantity) VALUES ($1, $2, $3) RETURNING id")
        .bind(&new.customer)
        .bind(&new.item)
        .bind(new.quantity)
        .fetch_one(&pool)
        .await
        .map_err(refused)?;
    Ok((StatusCode::CREATED, Json(id)))
}

async fn get_order(State(pool): State<PgPool>, Path(id): Path<i64>) -> Result<Json<Order>, (StatusCode, String)> {
    sqlx::query_as("SELECT id, customer, item, quantity, status FROM orders WHERE id = $1")
        .bind(id)
        .fetch_one(&pool)
        .await
        .map(Json)
        .map_err(refused)
}

async fn ready(State(pool): State<PgPool>) -> Result<(), (StatusCode, String)> {
    sqlx::query("SELECT 1").execute(&pool).await.map(|_| ()).map_err(refused)
}

/// Waits until the server answers a query.
async fn wait(url: &str) -> Result<(), Failure> {
    let begin = Instant::now();
    loop {
        let answer = async {
            let mut connection = PgConnection::connect(url).await?;
            sqlx::query("SELECT 1").execute(&mut connection).await
        };
        match answer.await {
            Ok(_) => return Ok(()),
            Err(error) if begin.elapsed() > Duration::from_secs(60) => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let begin = Instant::now();
    let mut arguments = env::args().skip(1);
    if let (Some("--wait"), Some(url)) = (arguments.next().as_deref(), arguments.next()) {
        return wait(&url).await;
    }
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let pool = PgPool::connect(&env::var("DATABASE_URL")?).await?;
    let connected = begin.elapsed();
    sqlx::migrate!().run(&pool).await?;
    let migrated = begin.elapsed() - connected;
    let router = Router::new()
        .route("/orders", post(place_order))
        .route("/orders/{id}", get(get_order))
        .route("/ready", get(ready))
        .with_state(pool.clone());
    let listener = tokio::net::TcpListener::bind(env::var("LISTEN")?).await?;
    tracing::info!("listening on http://{}", listener.local_addr()?);
    tracing::info!("ready in {:.1?} (connect {connected:.1?}, migrate {migrated:.1?})", begin.elapsed());
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = async move {
        terminate.recv().await;
    };
    axum::serve(listener, router).with_graceful_shutdown(stop).await?;
    pool.close().await;
    Ok(())
}
