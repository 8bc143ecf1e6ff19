//! An application for the tests of dead letters: one subscription that gives every message up until it is mended, and one
//! that never does. It has no database, so it starts without any server.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;
use underlay::Error;
use underlay::axum::Json;
use underlay::axum::extract::Path;
use underlay::prelude::*;

/// Whether the billing works.
static MENDED: AtomicBool = AtomicBool::new(false);
/// The numbers of the orders that were billed.
static BILLED: LazyLock<watch::Sender<Vec<i64>>> = LazyLock::new(watch::Sender::default);

#[derive(Message, Serialize, Deserialize)]
struct Order {
    #[message(attribute)]
    customer: String,
    number: i64,
}

#[topic("orders", delivery = "at-least-once")]
static ORDERS: Topic<Order>;

#[subscription(ORDERS, "billing")]
async fn bill(order: Order) -> underlay::Result<()> {
    if !MENDED.load(Ordering::Acquire) {
        return Err(Error::unrecoverable(format!(
            "no account for {}",
            order.customer
        )));
    }
    BILLED.send_modify(|billed| billed.push(order.number));
    Ok(())
}

#[subscription(ORDERS, "mail")]
async fn mail(_order: Order) -> underlay::Result<()> {
    Ok(())
}

#[api(method = POST, path = "/orders", public)]
async fn place(Json(order): Json<Order>) -> underlay::Result<Json<String>> {
    let id = ORDERS.publish(&order).await?;
    Ok(Json(id.to_string()))
}

#[api(method = POST, path = "/mended", public)]
async fn mend() {
    MENDED.store(true, Ordering::Release);
}

/// Answers once so many orders are billed.
#[api(method = GET, path = "/billed/{count}", public)]
async fn billed(Path(count): Path<usize>) -> underlay::Result<Json<Vec<i64>>> {
    let mut billed = BILLED.subscribe();
    let enough = billed.wait_for(|billed| billed.len() >= count).await;
    let enough = enough.map_err(|_| "nothing will be billed any more")?;
    Ok(Json(enough.clone()))
}

#[underlay::main]
async fn main() -> underlay::Result<()> {
    underlay::run().await
}
