//! Files: an invoice for every order, written by a subscription into a bucket.

use underlay::axum::extract::Path;
use underlay::prelude::*;

use crate::orders::{ORDER_PLACED, ORDERS, OrderPlaced};

underlay::service!("files");

#[bucket("invoices", versioned)]
pub(crate) static INVOICES: Bucket;

#[bucket("assets", public)]
static ASSETS: Bucket;

/// The text of an order's invoice.
fn invoice(event: &OrderPlaced) -> String {
    format!(
        "order {}: {} × {} for {}\n",
        event.order_id, event.quantity, event.item, event.customer
    )
}

/// Writes the invoice of a placed order. Delivered twice, it writes the same invoice twice.
#[subscription(
    ORDER_PLACED,
    "write-invoice",
    max_concurrency = 16,
    min_backoff = "1s"
)]
async fn write_invoice(event: OrderPlaced) -> underlay::Result<()> {
    let upload = Upload {
        content_type: Some("text/plain; charset=utf-8".into()),
        ..Upload::default()
    };
    INVOICES
        .upload_with(&format!("{}.txt", event.order_id), invoice(&event), upload)
        .await?;
    sqlx::query!(
        "UPDATE orders SET invoiced_at = coalesce(invoiced_at, now()), deliveries = deliveries + 1 WHERE id = $1",
        event.order_id,
    )
        .execute(&*ORDERS)
        .await?;
    Ok(())
}

/// The invoice of an order.
#[api(method = GET, path = "/orders/{id}/invoice", public)]
async fn get_invoice(Path(id): Path<i64>) -> underlay::Result<underlay::axum::body::Body> {
    let (_, body) = INVOICES
        .download_with(&format!("{id}.txt"), underlay::Download::default())
        .await?;
    Ok(body)
}

/// Where the logo is.
#[api(method = GET, path = "/logo", public)]
async fn logo() -> underlay::Result<String> {
    ASSETS.public_url("logo.svg")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[underlay::test]
    async fn an_order_gets_its_invoice() -> underlay::Result<()> {
        let event = OrderPlaced {
            order_id: 7,
            customer: "ann".into(),
            item: "tea".into(),
            quantity: 2,
        };
        ORDER_PLACED.publish(&event).await?;
        assert_eq!(underlay::testing::drain().await?, 1);
        assert_eq!(
            INVOICES.download("7.txt").await?,
            "order 7: 2 × tea for ann\n".as_bytes()
        );
        let attrs = INVOICES.attrs("7.txt").await?;
        assert_eq!(
            attrs.content_type.as_deref(),
            Some("text/plain; charset=utf-8")
        );
        Ok(())
    }

    #[underlay::test]
    async fn only_public_buckets_have_public_urls() {
        assert!(ASSETS.public_url("logo.svg").is_ok());
        assert!(INVOICES.public_url("7.txt").is_err());
    }
}
