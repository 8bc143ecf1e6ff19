//! An application for the tests of brokers that fail: it publishes runs of numbered messages, at once or in a
//! transaction, writes down each delivery, and has one effect of each message.

use underlay::axum::Json;
use underlay::axum::extract::Path;
use underlay::prelude::*;
use underlay::sqlx;

#[database("courier", migrations = "migrations/courier", outbox)]
static COURIER: Database;

#[derive(Message, Serialize, Deserialize)]
struct Parcel {
    #[message(attribute)]
    key: String,
    number: i64,
}

impl Parcel {
    /// `count` parcels of a key, numbered from `first`.
    fn run(key: &str, first: i64, count: i64) -> Vec<Self> {
        let parcel = |number| Self {
            key: key.to_owned(),
            number,
        };
        (first..first + count).map(parcel).collect()
    }
}

#[topic("parcels", ordered_by = key)]
static PARCELS: Topic<Parcel>;

/// Whoever gets an answer knows that the broker has all of them.
#[api(method = POST, path = "/publish/{key}/{first}/{count}", public)]
async fn publish(Path((key, first, count)): Path<(String, i64, i64)>) -> underlay::Result<()> {
    PARCELS
        .publish_batch(&Parcel::run(&key, first, count))
        .await?;
    Ok(())
}

/// Whoever gets an answer knows that the transaction is committed.
#[api(method = POST, path = "/commit/{key}/{first}/{count}", public)]
async fn commit(Path((key, first, count)): Path<(String, i64, i64)>) -> underlay::Result<()> {
    let mut tx = COURIER.begin().await?;
    for parcel in Parcel::run(&key, first, count) {
        PARCELS.publish_in(&mut tx, &parcel).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// How many messages were given up.
#[api(method = GET, path = "/dead", public)]
async fn dead() -> underlay::Result<Json<usize>> {
    let letters = PARCELS.dead_letters("deliver")?.list(1000).await?;
    Ok(Json(letters.len()))
}

/// A key that begins with `poison` never succeeds, and one with `hang` does not end at first.
#[subscription(
    PARCELS,
    "deliver",
    ack_deadline = "2s",
    min_backoff = "1s",
    max_backoff = "1s",
    max_retries = 5
)]
async fn deliver(parcel: Parcel, delivery: &Delivery) -> underlay::Result<()> {
    if parcel.key.starts_with("poison") {
        return Err("it burns".into());
    }
    if parcel.key.starts_with("hang") && delivery.attempt == 1 {
        std::future::pending::<()>().await;
    }
    sqlx::query("INSERT INTO delivered (key, number) VALUES ($1, $2)")
        .bind(&parcel.key)
        .bind(parcel.number)
        .execute(&*COURIER)
        .await?;
    Ok(())
}

#[subscription(
    PARCELS,
    "once",
    idempotent_in = COURIER,
    ack_deadline = "2s",
    min_backoff = "1s",
    max_retries = "infinite"
)]
async fn once(parcel: Parcel, delivery: &Delivery) -> underlay::Result<()> {
    let mut tx = delivery.tx().await?;
    sqlx::query("INSERT INTO effects (key, number) VALUES ($1, $2)")
        .bind(&parcel.key)
        .bind(parcel.number)
        .execute(&mut *tx)
        .await?;
    Ok(())
}

#[underlay::main]
async fn main() -> underlay::Result<()> {
    underlay::run().await
}
