//! What the attributes leave in a binary: the fragments of the inventory, read back.

#![forbid(unsafe_code)]
#![deny(warnings)]
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test, which declares as a library would"
)]

#[path = "inventory/declarations.rs"]
mod declarations;

use std::collections::BTreeMap;

use serde_json::Value;
use underlay::__private::{DECLARATIONS, Item};
use underlay_model::{Declaration, fragment};

/// All declarations of this binary.
fn declarations() -> Vec<Declaration> {
    let fragments = DECLARATIONS
        .iter()
        .map(|it| it.fragment)
        .filter(|it| !it.is_empty());
    fragments
        .flat_map(|it| fragment::parse_section(it).unwrap())
        .collect()
}

/// The declarations as JSON without their places, by kind, name and path.
fn by_name() -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for declaration in declarations() {
        let mut json = serde_json::to_value(&declaration).unwrap();
        if let Some(source) = json.get_mut("source") {
            let source = source.take();
            json["source"] = source["module"].clone();
        }
        let text = |field: &str| json.get(field).and_then(Value::as_str).unwrap_or_default();
        let key = format!("{} {} {}", text("declaration"), text("name"), text("path"));
        assert!(
            found.insert(key.trim_end().to_owned(), json).is_none(),
            "{key} twice"
        );
    }
    found
}

#[test]
fn fragments_hold_what_is_declared() {
    let expected: BTreeMap<String, Value> =
        serde_json::from_str(include_str!("inventory/expected.json")).unwrap();
    let found = by_name();
    let text = serde_json::to_string_pretty(&found).unwrap();
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>(),
        "{text}"
    );
    for (key, declaration) in &found {
        assert_eq!(declaration, &expected[key], "{key}; all of them:\n{text}");
    }
}

#[test]
fn fragments_say_where_the_declaration_stands() {
    let text = include_str!("inventory/declarations.rs");
    let mut checked = 0;
    for declaration in declarations() {
        let Some(source) = declaration.source() else {
            continue;
        };
        assert_eq!(source.package, "underlay-tests");
        assert_eq!(source.file, "tests/tests/inventory/declarations.rs");
        let line = text.lines().nth(source.line as usize - 1).unwrap();
        let at = &line[source.column as usize - 1..];
        let before = &line[..source.column as usize - 1];
        let is_ident = before.ends_with("static ")
            || before.ends_with("fn ")
            || before.ends_with("upload_bucket!(");
        assert!(
            is_ident || at.starts_with("\"billing\""),
            "{source}: {line}"
        );
        checked += 1;
    }
    assert!(checked > 30, "{checked}");
}

#[test]
fn each_kind_has_its_item() {
    for declaration in DECLARATIONS.iter().filter(|it| !it.fragment.is_empty()) {
        let parsed = fragment::parse_section(declaration.fragment)
            .unwrap()
            .remove(0);
        let fits = matches!(
            (&parsed, &declaration.item),
            (Declaration::Database(_), Item::Database(_))
                | (Declaration::Topic(_), Item::Topic(_))
                | (Declaration::Subscription(_), Item::Subscription(_))
                | (Declaration::Cron(_), Item::Cron(_))
                | (Declaration::Bucket(_), Item::Bucket(_))
                | (Declaration::Cache(_), Item::Cache(_))
                | (Declaration::Secret(_), Item::Secret(_))
                | (Declaration::Endpoint(_), Item::Endpoint(_))
                | (
                    Declaration::Keyspace(_)
                        | Declaration::Reference(_)
                        | Declaration::Service(_)
                        | Declaration::Application(_),
                    Item::Described
                )
        );
        assert!(fits, "{parsed:?}");
    }
}

#[test]
fn statics_know_their_names() {
    assert_eq!(declarations::ORDERS.name(), "orders");
    assert_eq!(declarations::ORDER_ARCHIVE.name(), "order-archive");
    assert_eq!(declarations::CART_EVENTS.name(), "cart-events");
    assert_eq!(declarations::UPLOADS.name(), "user-uploads");
    assert_eq!(declarations::CACHE.name(), "my-cache");
    assert_eq!(declarations::billing::SHARED_CACHE.name(), "my-cache");
}
