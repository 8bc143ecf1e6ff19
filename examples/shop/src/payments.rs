//! Payments: a secret, and another service's bucket with no more permission than it takes.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use underlay::axum::extract::Path;
use underlay::prelude::*;

underlay::service!("payments");

#[secret("PaymentSigningKey")]
static SIGNING_KEY: Secret;

#[reference(crate::files::INVOICES)]
static INVOICES: BucketRef<(Attrser, Downloader)>;

/// A link to pay an order that has an invoice. The payment provider checks its signature with the same key.
#[api(method = GET, path = "/orders/{id}/payment-link", public)]
async fn payment_link(Path(id): Path<i64>) -> underlay::Result<String> {
    let name = format!("{id}.txt");
    if !INVOICES.exists(&name).await? {
        return Err(underlay::Error::new(
            underlay::ErrorKind::NotFound,
            format!("order {id} has no invoice"),
        ));
    }
    let invoice = INVOICES.download(&name).await?;
    let key = SIGNING_KEY().expose()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes())
        .map_err(|_| "the signing key cannot be used")?;
    mac.update(&invoice);
    Ok(format!(
        "https://pay.example/orders/{id}?signature={}",
        hex::encode(mac.finalize().into_bytes())
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[underlay::test]
    async fn a_payment_link_needs_an_invoice_and_the_key() -> underlay::Result<()> {
        let missing = payment_link(Path(1)).await.unwrap_err();
        assert_eq!(missing.kind(), underlay::ErrorKind::NotFound);

        crate::files::INVOICES
            .upload("1.txt", "order 1: 1 × tea for ann\n")
            .await?;
        let unset = payment_link(Path(1)).await.unwrap_err();
        assert_eq!(unset.kind(), underlay::ErrorKind::Configuration);

        underlay::testing::set_secret("PaymentSigningKey", "k3y")?;
        let link = payment_link(Path(1)).await?;
        assert!(
            link.starts_with("https://pay.example/orders/1?signature="),
            "{link}"
        );
        assert!(!format!("{:?}", SIGNING_KEY()).contains("k3y"));
        Ok(())
    }
}
