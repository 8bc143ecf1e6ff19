//! Every attribute and derive, as the documentation shows them, under `forbid(unsafe_code)`.
#![forbid(unsafe_code)]
#![deny(warnings)]

use underlay::axum::Json;
use underlay::axum::extract::Path;
use underlay::prelude::*;

underlay::service!("shop");

/// Orders, and what was ordered.
#[database("orders")]
pub static ORDERS: Database;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Added,
    Removed,
}

#[derive(Message, Serialize, Deserialize)]
pub struct CartEvent {
    #[message(attribute)]
    pub cart_id: String,
    #[message(attribute)]
    pub customer: i64,
    pub action: Action,
}

#[topic("cart-events", delivery = "at-least-once", ordered_by = cart_id)]
pub static CART_EVENTS: Topic<CartEvent>;

#[subscription(CART_EVENTS, "send-confirmation-email", max_concurrency = 10, ack_deadline = "30s",
               retention = "7d", min_backoff = "10s", max_backoff = "10m", max_retries = 100)]
async fn send_confirmation(event: CartEvent) -> underlay::Result<()> {
    let _ = (event.cart_id, event.customer, event.action);
    Ok(())
}

#[subscription(CART_EVENTS, max_retries = "infinite")]
async fn count_events(_: CartEvent, delivery: &Delivery) -> Result<(), std::io::Error> {
    let _ = delivery.attempt;
    Ok(())
}

#[cron("cleanup-sessions", title = "Clean up expired sessions", every = "1h")]
async fn cleanup_sessions() -> underlay::Result<()> {
    Ok(())
}

#[cron(schedule = "0 9 * * 1")]
async fn weekly_report() -> underlay::Result<()> {
    Ok(())
}

#[bucket("user-uploads", versioned)]
pub static UPLOADS: Bucket;
#[bucket("public-assets", public = true)]
pub static ASSETS: Bucket;

#[cache("my-cache", eviction = "allkeys-lru")]
pub static CACHE: CacheCluster;

#[derive(CacheKey)]
pub struct ResourceKey {
    user_id: String,
    resource_path: String,
}

#[keyspace(CACHE, "requests/:user_id/:resource_path", expiry = "10s")]
static REQUESTS: IntKeyspace<ResourceKey>;
#[keyspace(CACHE, "token/:key", expiry = "1h")]
static TOKENS: StringKeyspace<String>;

#[secret("StripeSecretKey")]
static STRIPE_KEY: Secret;
#[secret]
static PORT_LIMIT: Secret<u16>;

#[api(method = GET, path = "/orders/{id}", public)]
async fn get_order(Path(id): Path<i64>) -> Json<i64> {
    Json(id)
}

#[api(method = [GET, POST], path = "/orders")]
async fn orders() -> &'static str {
    "none"
}

#[reference(UPLOADS)]
static INVOICES: BucketRef<(Downloader, SignedDownloader)>;
#[reference(CART_EVENTS)]
static ANNOUNCE: TopicRef<CartEvent>;
#[reference(CACHE)]
static SHARED_CACHE: CacheRef<ReadWrite>;
#[reference(ORDERS)]
static REPORTS: DatabaseRef<ReadOnly>;

#[keyspace(SHARED_CACHE, "shared/:key")]
static SHARED: StructKeyspace<i64, Vec<String>>;

#[subscription(ANNOUNCE, "from-reference")]
async fn from_reference(_: CartEvent) -> underlay::Result<()> {
    Ok(())
}

async fn use_everything(key: ResourceKey) -> underlay::Result<()> {
    let event = CartEvent { cart_id: "1".to_owned(), customer: 7, action: Action::Added };
    CART_EVENTS.publish(&event).await?;
    ANNOUNCE.publish(&event).await?;
    UPLOADS.upload("a", "b").await?;
    ASSETS.public_url("a")?;
    INVOICES.download("a").await?;
    REPORTS.begin_read().await?;
    REQUESTS.increment(&key, 1).await?;
    TOKENS.set("a", "b").await?;
    SHARED.set(&1, vec![]).await?;
    STRIPE_KEY().expose()?;
    PORT_LIMIT().expose()?;
    Ok(())
}

#[underlay::main]
async fn main() -> underlay::Result<()> {
    assert_eq!(ORDERS.name(), "orders");
    let key = ResourceKey { user_id: "1".to_owned(), resource_path: "a".to_owned() };
    assert!(use_everything(key).await.is_err(), "nothing is started");
    Ok(())
}

#[cfg(test)]
mod tests {
    #[underlay::test]
    async fn is_a_test() -> Result<(), String> {
        Ok(())
    }
}
