//! The documents that are generated from the code are what the code says now.
//!
//! `cargo xtask docs` runs this with `UNDERLAY_UPDATE_DOCS` set; then each document is written instead of compared. It is
//! a test so that `cargo test` finds a stale document, and so that `cargo xtask` itself needs none of our crates.

use std::path::Path;

use serde_json::Value;
use underlay_backends::capabilities::{Backend, backends};

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

/// A table for each primitive: a row for each backend, a column for each capability.
fn tables(backends: &[Backend]) -> String {
    let mut text = "\
# Backends

What each backend can do, by primitive.
This file is generated from what the backends declare of themselves, which the conformance suites check; `cargo xtask docs` writes it.
"
    .to_owned();
    let mut primitive = "";
    for backend in backends {
        let rows = backend.capabilities.rows();
        if backend.capabilities.primitive() != primitive {
            primitive = backend.capabilities.primitive();
            let headings: Vec<&str> = rows.iter().map(|(heading, _)| *heading).collect();
            let line = "---|".repeat(headings.len() + 1);
            text += &format!(
                "\n## {primitive}\n\n| Provider | {} |\n|{line}\n",
                headings.join(" | ")
            );
        }
        let variant = backend
            .variant
            .map(|variant| format!(", {variant}"))
            .unwrap_or_default();
        let values: Vec<String> = rows.into_iter().map(|(_, value)| value).collect();
        text += &format!(
            "| `{}`{variant} | {} |\n",
            backend.provider,
            values.join(" | ")
        );
    }
    text
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

#[test]
fn what_backends_can_do() {
    check("docs/backends.md", &tables(&backends()));
}
