//! The documents that are generated from the code are what the code says now.
//!
//! `cargo xtask docs` runs this with `UNDERLAY_UPDATE_DOCS` set; then each document is written instead of compared. It is
//! a test so that `cargo test` finds a stale document, and so that `cargo xtask` itself needs none of our crates.

use std::path::Path;

use serde_json::Value;

/// Compares a document with what was generated, or writes it.
#[track_caller]
fn check(path: &str, generated: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if std::env::var_os("UNDERLAY_UPDATE_DOCS").is_some() {
        let folder = file.parent().expect("a document is in a folder");
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&file, generated))
            .expect("the checkout is writable");
        return;
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    // git may give it other line ends.
    assert!(
        written.replace("\r\n", "\n") == generated,
        "{path} is not what the code says; run `cargo xtask docs`"
    );
}

/// A schema as a document; sorted, because another crate's features decide whether objects keep their order.
fn pretty(mut schema: Value) -> String {
    schema.sort_all_objects();
    let text = serde_json::to_string_pretty(&schema).expect("a JSON value can always be written");
    text + "\n"
}

#[test]
fn the_schema_of_the_model() {
    check(
        "docs/schema/model.json",
        &pretty(underlay_model::schema::model()),
    );
}

#[test]
fn the_schema_of_the_infra_config() {
    check(
        "docs/schema/infra.json",
        &pretty(underlay_model::schema::infra()),
    );
}
