//! An application for the tests of dead letters: one subscription that gives every message up until it is mended, and one
//! that never does. It has no database, so it starts without any server.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use underlay::Error;
use underlay::axum::Json;
use underlay::prelude::*;

/// Whether the billing works.
static MENDED: AtomicBool = AtomicBool::new(false);
/// The numbers of the orders that were billed.
static BILLED: Mutex<Vec<i64>> = Mutex::new(Vec::new());

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
    if let Ok(mut billed) = BILLED.lock() {
        billed.push(order.number);
    }
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

#[api(method = GET, path = "/billed", public)]
async fn billed() -> Json<Vec<i64>> {
    Json(BILLED.lock().map(|it| it.clone()).unwrap_or_default())
}

#[underlay::main]
async fn main() -> underlay::Result<()> {
    underlay::run().await
}
