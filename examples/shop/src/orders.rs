//! Orders: a database, a topic that tells of each order, and a job that expires the unpaid ones.
//!
//! The queries are checked against the migrations while this compiles. What that takes lies in `.sqlx`, so that no
//! database is needed; after a query or a migration has changed, `cargo underlay db prepare` writes it anew.

use underlay::axum::extract::Path;
use underlay::axum::http::StatusCode;
use underlay::axum::{Json, response::IntoResponse};
use underlay::prelude::*;

use crate::sessions;

underlay::service!("orders");

#[database("orders", migrations = "../../migrations-example/orders")]
pub(crate) static ORDERS: Database;

/// An order was placed. Events of one customer arrive in order.
#[derive(Debug, Clone, PartialEq, Eq, Message, Serialize, Deserialize)]
pub(crate) struct OrderPlaced {
    /// The order's id.
    pub(crate) order_id: i64,
    /// Who placed it.
    #[message(attribute)]
    pub(crate) customer: String,
    /// What was ordered.
    pub(crate) item: String,
    /// How many of it.
    pub(crate) quantity: i32,
}

#[topic("order-placed", delivery = "at-least-once", ordered_by = customer)]
pub(crate) static ORDER_PLACED: Topic<OrderPlaced>;

/// What a customer sends to place an order.
#[derive(Deserialize)]
pub(crate) struct NewOrder {
    customer: String,
    item: String,
    quantity: i32,
}

/// An order as customers see it.
#[derive(Debug, Serialize)]
pub(crate) struct Order {
    id: i64,
    customer: String,
    item: String,
    quantity: i32,
    status: String,
    deliveries: i32,
}

/// Places an order. Whoever gets its id has an order that is stored and announced.
#[api(method = POST, path = "/orders", public)]
async fn place_order(Json(new): Json<NewOrder>) -> underlay::Result<impl IntoResponse> {
    if new.quantity < 1 {
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, Json(None)));
    }
    if !sessions::within_limit(&new.customer, "orders").await? {
        return Ok((StatusCode::TOO_MANY_REQUESTS, Json(None)));
    }
    let order_id = sqlx::query_scalar!(
        "INSERT INTO orders (customer, item, quantity) VALUES ($1, $2, $3) RETURNING id",
        new.customer,
        new.item,
        new.quantity,
    )
    .fetch_one(&*ORDERS)
    .await?;
    let event = OrderPlaced {
        order_id,
        customer: new.customer,
        item: new.item,
        quantity: new.quantity,
    };
    ORDER_PLACED.publish(&event).await?;
    Ok((StatusCode::CREATED, Json(Some(order_id))))
}

/// One order.
#[api(method = GET, path = "/orders/{id}", public)]
async fn get_order(Path(id): Path<i64>) -> underlay::Result<Json<Order>> {
    let order = sqlx::query_as!(
        Order,
        "SELECT id, customer, item, quantity, status, deliveries FROM orders WHERE id = $1",
        id,
    )
    .fetch_one(&*ORDERS)
    .await?;
    Ok(Json(order))
}

/// Expires the orders that were not paid within a day.
#[cron("expire-unpaid-orders", title = "Expire unpaid orders", every = "1h")]
async fn expire_unpaid_orders() -> underlay::Result<()> {
    sqlx::query!("UPDATE orders SET status = 'expired' WHERE status = 'open' AND placed_at < now() - interval '1 day'")
        .execute(&*ORDERS)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[underlay::test]
    async fn orders_expire_after_a_day() -> underlay::Result<()> {
        for age in ["0 hours", "25 hours"] {
            sqlx::query("INSERT INTO orders (customer, item, quantity, placed_at) VALUES ('ann', 'tea', 1, now() - $1::text::interval)")
                .bind(age)
                .execute(&*ORDERS)
                .await?;
        }
        underlay::testing::run_cron("expire-unpaid-orders").await?;
        let statuses: Vec<String> =
            sqlx::query_scalar("SELECT status FROM orders ORDER BY placed_at")
                .fetch_all(&*ORDERS)
                .await?;
        assert_eq!(statuses, ["expired", "open"]);
        Ok(())
    }

    #[underlay::test]
    async fn a_test_has_a_database_of_its_own() -> underlay::Result<()> {
        let orders: i64 = sqlx::query_scalar("SELECT count(*) FROM orders")
            .fetch_one(&*ORDERS)
            .await?;
        assert_eq!(orders, 0);
        Ok(())
    }
}
