//! Every attribute and derive, in the shapes that users write them in. Not run: what it leaves in the binary counts.

use underlay::axum::Json;
use underlay::axum::extract::Path;
use underlay::prelude::*;

/// Orders, and what was ordered.
///
/// One row per order.
#[database("orders", migrations = "ui/fixtures/migrations")]
pub static ORDERS: Database;

#[database]
pub static ORDER_ARCHIVE: Database;

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
    pub r#type: i64,
    pub action: Action,
}

#[topic("cart-events", delivery = "exactly-once", ordered_by = cart_id)]
pub static CART_EVENTS: Topic<CartEvent>;

/// An enum without attributes, and a message with a parameter.
#[derive(Message, Serialize, Deserialize)]
pub enum Pulse {
    Beat,
    Pause(u32),
}

#[derive(Message, Serialize, Deserialize)]
pub struct Envelope<T> {
    #[message(attribute)]
    sender: String,
    content: Vec<T>,
}

#[topic]
pub static PULSES: Topic<Pulse>;
#[topic]
pub static LETTERS: Topic<Envelope<Pulse>>;

/// Tells the customer.
#[subscription(
    CART_EVENTS,
    "send-confirmation-email",
    max_concurrency = 10,
    ack_deadline = "45s",
    retention = "14d",
    min_backoff = "5s",
    max_backoff = "60m",
    max_retries = 3
)]
async fn send_confirmation(event: CartEvent) -> underlay::Result<()> {
    let _ = (event.cart_id, event.r#type, event.action);
    Ok(())
}

#[subscription(PULSES, max_retries = "infinite")]
async fn count_pulses(_: Pulse, delivery: &Delivery) -> Result<(), std::io::Error> {
    let _ = delivery.attempt;
    Ok(())
}

#[cron(
    "cleanup-sessions",
    title = "Clean up \"expired\" sessions",
    every = "60m"
)]
async fn cleanup_sessions() -> underlay::Result<()> {
    Ok(())
}

#[cron(schedule = "0  9 * * 1")]
async fn weekly_report() -> underlay::Result<()> {
    Ok(())
}

#[bucket("user-uploads", versioned)]
pub static UPLOADS: Bucket;
#[bucket("public-assets", public = true, versioned = false)]
pub static ASSETS: underlay::Bucket;

#[cache("my-cache", eviction = "volatile-ttl")]
pub static CACHE: CacheCluster;

#[derive(CacheKey)]
pub struct ResourceKey {
    user_id: String,
    resource_path: String,
}

#[keyspace(CACHE, "requests/:user_id/:resource_path", expiry = "10s")]
static REQUESTS: IntKeyspace<ResourceKey>;
#[keyspace(CACHE, "token/:key", expiry = "90m")]
static TOKENS: StringKeyspace<String>;
#[keyspace(CACHE, "profile/:key")]
static PROFILES: StructKeyspace<i64, Vec<(u8, String)>>;

#[secret("StripeSecretKey")]
static STRIPE_KEY: Secret;
#[secret]
static PORT_LIMIT: Secret<u16>;

/// One order.
#[api(method = GET, path = "/orders/{id}", public)]
async fn get_order(Path(id): Path<i64>) -> Json<i64> {
    Json(id)
}

#[api(method = [GET, POST], path = "/orders", auth)]
async fn orders() -> &'static str {
    "none"
}

/// The uses of other modules' resources.
pub mod billing {
    use super::{CACHE, CART_EVENTS, CartEvent};
    use underlay::prelude::*;

    underlay::service!("billing");

    #[reference(super::UPLOADS)]
    pub static INVOICES: BucketRef<(Downloader, SignedDownloader)>;
    #[reference(CART_EVENTS)]
    pub static ANNOUNCE: TopicRef<CartEvent>;
    #[reference(CACHE)]
    pub static SHARED_CACHE: CacheRef<ReadWrite>;
    #[reference(crate::declarations::ORDERS)]
    pub static REPORTS: DatabaseRef<ReadOnly>;

    #[keyspace(SHARED_CACHE, "shared/:key")]
    pub static SHARED: StringSetKeyspace<i64>;

    #[subscription(ANNOUNCE)]
    async fn from_reference(_: CartEvent) -> underlay::Result<()> {
        Ok(())
    }

    pub mod archive {
        use underlay::prelude::*;

        #[subscription(crate::declarations::CART_EVENTS, "archive")]
        async fn store(_: super::super::CartEvent) -> underlay::Result<()> {
            Ok(())
        }
    }
}

macro_rules! upload_bucket {
    ($name:ident, $of:ty) => {
        #[bucket]
        pub static $name: $of;
    };
}

/// Declarations by macros.
pub mod by_macro {
    use underlay::prelude::*;

    upload_bucket!(FIRST_UPLOADS, Bucket);
    upload_bucket!(SECOND_UPLOADS, Bucket);
}

/// Declarations that are configured out, before and after the attribute.
pub mod configured_out {
    #[cfg(any())]
    #[bucket("never")]
    static NEVER: Bucket;
    #[underlay::bucket("never-either")]
    #[cfg(any())]
    static NEVER_EITHER: Bucket;
    #[underlay::api(method = GET, path = "/never", public)]
    #[cfg(any())]
    async fn never() {}
}

/// Names that expansions use, too.
pub mod names {
    use underlay::prelude::*;

    #[derive(Message, Serialize, Deserialize)]
    pub struct Option {
        #[message(attribute)]
        body: String,
    }

    #[topic]
    pub static DECLARATION: Topic<Option>;

    #[subscription(DECLARATION)]
    async fn handle(_: Option) -> underlay::Result<()> {
        Ok(())
    }

    #[cron(every = "1m")]
    async fn run() -> underlay::Result<()> {
        Ok(())
    }

    #[api(method = POST, path = "/register")]
    async fn register(body: String) -> String {
        body
    }

    #[secret("value")]
    pub static VALUE: Secret;
}

mod program {
    /// Registers the application; the test harness has a `main` of its own.
    #[underlay::main]
    #[allow(dead_code)]
    async fn main() -> underlay::Result<()> {
        underlay::run().await
    }
}

/// Compiles: the types of the handles are what they should be.
#[allow(dead_code)]
async fn use_everything(key: ResourceKey) -> underlay::Result<()> {
    let event = CartEvent {
        cart_id: "1".to_owned(),
        r#type: 7,
        action: Action::Removed,
    };
    CART_EVENTS.publish(&event).await?;
    PULSES.publish(&Pulse::Pause(1)).await?;
    LETTERS
        .publish(&Envelope {
            sender: "me".to_owned(),
            content: vec![Pulse::Beat],
        })
        .await?;
    billing::ANNOUNCE.publish(&event).await?;
    UPLOADS.upload("a", "b").await?;
    ASSETS.public_url("a")?;
    billing::INVOICES.download("a").await?;
    billing::REPORTS.begin_read().await?;
    REQUESTS.increment(&key, 1).await?;
    TOKENS.set("a", "b").await?;
    PROFILES.set(&1, vec![]).await?;
    billing::SHARED.delete(&1).await?;
    STRIPE_KEY().expose()?;
    let _: &u16 = PORT_LIMIT().expose()?;
    send_confirmation(event).await
}
