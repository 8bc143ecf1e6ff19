//! What each attribute expands to, compared with the files in `tests/expansions`.
//!
//! `UPDATE_EXPANSIONS=1 cargo test -p underlay-macros` writes the files anew; read the difference.
//! Outside of the compiler a declaration stands at line 1, column 1 of `src/lib.rs`.

use std::path::Path;

use proc_macro2::TokenStream;
use quote::quote;

fn check(name: &str, expanded: TokenStream) {
    let file = syn::parse2(expanded).unwrap_or_else(|error| panic!("{name}: {error}"));
    let found = prettyplease::unparse(&file).replace(env!("CARGO_MANIFEST_DIR"), "$DIR");
    let found = format!("//! An expansion, written by `expansion_tests.rs`.\n\n{found}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/expansions")
        .join(format!("{name}.rs"));
    if std::env::var_os("UPDATE_EXPANSIONS").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "{} differs", path.display());
}

#[test]
fn resources() {
    check(
        "database",
        crate::database::attribute(
            quote!("orders", migrations = "tests/migrations", outbox),
            quote! {
                /// Orders.
                pub static ORDERS: Database;
            },
        ),
    );
    check(
        "database_named",
        crate::database::attribute(
            quote!(named = "orders"),
            quote!(
                static ORDERS: Database;
            ),
        ),
    );
    check(
        "topic",
        crate::topic::attribute(
            quote!("cart-events", ordered_by = cart_id),
            quote! {
                #[cfg(feature = "carts")]
                pub(crate) static CART_EVENTS: Topic<CartEvent>;
            },
        ),
    );
    check(
        "bucket",
        crate::bucket::attribute(
            quote!("uploads", versioned),
            quote!(
                static UPLOADS: Bucket;
            ),
        ),
    );
    check(
        "cache",
        crate::cache::attribute(
            quote!(eviction = "allkeys-lfu"),
            quote!(
                static MY_CACHE: CacheCluster;
            ),
        ),
    );
    check(
        "keyspace",
        crate::keyspace::attribute(
            quote!(MY_CACHE, "requests/:user_id", expiry = "10s"),
            quote!(
                static REQUESTS: IntKeyspace<UserKey>;
            ),
        ),
    );
    check(
        "secret",
        crate::secret::attribute(
            quote!(),
            quote!(
                static PORT_LIMIT: Secret<u16>;
            ),
        ),
    );
    check(
        "reference",
        crate::reference::attribute(
            quote!(orders::CART_EVENTS),
            quote!(
                static CART_EVENTS: TopicRef<CartEvent, Publisher>;
            ),
        ),
    );
}

#[test]
fn handlers() {
    check(
        "subscription",
        crate::subscription::attribute(
            quote!(CART_EVENTS, "send-email", max_retries = "infinite"),
            quote! {
                async fn send_email(event: CartEvent, delivery: &Delivery) -> Result<(), Error> {
                    mail(event).await
                }
            },
        ),
    );
    check(
        "api",
        crate::api::attribute(
            quote!(method = [GET, HEAD], path = "/orders/{id}", public),
            quote! {
                pub async fn get_order(Path(id): Path<i64>) -> Json<Order> {
                    find(id).await
                }
            },
        ),
    );
}

#[test]
fn filtered_and_idempotent() {
    let expanded = crate::subscription::attribute(
        quote!(
            events::CARTS,
            filter = (country == "DE" || country == "AT")
                && kind != "test"
                && kind != 5
                && sku.starts_with("A-")
                && urgent
                && !draft,
            idempotent_in = orders::ORDERS
        ),
        quote! {
            async fn send_email(event: CartEvent) -> Result<(), Error> {
                mail(event).await
            }
        },
    );
    check(
        if cfg!(feature = "postgres") {
            "subscription_idempotent"
        } else {
            "subscription_without_feature"
        },
        expanded,
    );
}

#[test]
fn seed() {
    let function = quote! {
        async fn two_orders() -> anyhow::Result<()> {
            Ok(())
        }
    };
    check("seed", crate::seed::attribute(TokenStream::new(), function));
}

#[test]
fn cron() {
    let expanded = crate::cron::attribute(
        quote!(every = "1h"),
        quote! {
            async fn clean_up() -> anyhow::Result<()> {
                Ok(())
            }
        },
    );
    check(
        if cfg!(feature = "cron") {
            "cron"
        } else {
            "cron_without_feature"
        },
        expanded,
    );
}

#[test]
fn the_rest() {
    check("service", crate::service::invocation(quote!("billing")));
    check(
        "entry",
        crate::entry::main(
            quote!(),
            quote! {
                async fn main() -> Result<(), Error> {
                    serve().await
                }
            },
        ),
    );
    check(
        "test",
        crate::entry::test(
            quote!(),
            quote! {
                #[cfg(unix)]
                async fn finds() {
                    find(1).await;
                }
            },
        ),
    );
    check(
        "message",
        crate::message::derive(quote! {
            struct Envelope<T> {
                #[message(attribute)]
                sender: String,
                content: T,
            }
        }),
    );
    check(
        "cache_key",
        crate::cache_key::derive(quote! {
            struct ResourceKey {
                user_id: i64,
                resource_path: String,
            }
        }),
    );
}

#[test]
fn mistakes_leave_what_others_use() {
    check(
        "topic_with_mistake",
        crate::topic::attribute(
            quote!("Cart"),
            quote!(
                pub static CARTS: Topic<Cart>;
            ),
        ),
    );
    check(
        "subscription_with_mistake",
        crate::subscription::attribute(
            quote!(CARTS),
            quote!(
                async fn handle(_: Cart) {}
            ),
        ),
    );
    check(
        "entry_with_mistake",
        crate::entry::main(
            quote!(),
            quote!(
                fn main() {}
            ),
        ),
    );
}
