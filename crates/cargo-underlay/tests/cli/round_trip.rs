//! The model that is read from a binary's file against the model that the running program has of itself, with the
//! crate `underlay` itself and one declaration of each kind.

use std::{fs, process::Command};

use serde_json::json;

use crate::{manifest, program::Outcome, project::Project};

const REAL: &str = "underlay = { path = '{repository}/crates/underlay', features = ['cron'] }\n\
                    serde = '1'\nserde_json = '1'\n";

/// What a binary with every kind of declaration says of itself is what is read from its file: under the hardest
/// release profile, and in a dev build.
#[test]
fn the_model_in_the_file_is_the_model_of_the_running_program() {
    let project = Project::new(
        "real",
        &[
            (
                "Cargo.toml",
                "[workspace]\nmembers = ['billing', 'shop']\nresolver = '3'\n[profile.release]\nlto = 'fat'\nstrip = true\n",
            ),
            (
                "shop/Cargo.toml",
                &format!("{}{REAL}", manifest("shop", &["billing"])),
            ),
            (
                "shop/src/main.rs",
                include_str!("fixtures/shop/src/main.rs"),
            ),
            (
                "shop/migrations/0001_orders.up.sql",
                include_str!("fixtures/shop/migrations/0001_orders.up.sql"),
            ),
            (
                "billing/Cargo.toml",
                &format!("{}{REAL}", manifest("billing", &[])),
            ),
            (
                "billing/src/lib.rs",
                include_str!("fixtures/billing/lib.rs"),
            ),
        ],
    );
    let says = |binary: &str| {
        let outcome = Outcome::of(Command::new(binary));
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        serde_json::from_str::<serde_json::Value>(&outcome.stdout).unwrap()
    };
    let built = project.underlay(&["build", "--json"]).json(0);
    assert_eq!(built["problems"], json!([]));
    let binary = built["binary"].as_str().unwrap();
    let file = fs::read_to_string(built["model"].as_str().unwrap()).unwrap();
    let model: serde_json::Value = serde_json::from_str(&file).unwrap();
    assert_eq!(model, says(binary));
    assert_eq!(
        model,
        project.underlay(&["model", "--binary", binary]).json(0)
    );
    assert_eq!(
        model["application"],
        json!({ "name": "shop", "version": "0.3.1" })
    );
    let services: Vec<_> = model["services"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["name"])
        .collect();
    assert_eq!(services, ["billing", "named", "shop"]);
    for kind in [
        "databases",
        "topics",
        "subscriptions",
        "crons",
        "buckets",
        "caches",
        "keyspaces",
        "secrets",
        "endpoints",
        "references",
    ] {
        let expected = if kind == "buckets" { 2 } else { 1 };
        assert_eq!(
            model[kind].as_array().map(Vec::len),
            Some(expected),
            "{kind}: {model:#}"
        );
    }

    assert_eq!(project.underlay(&["check", "--json"]).problems(0), []);
    let path = project.root.join("model.json");
    let written = project
        .underlay(&["model", "--json", "-o", path.to_str().unwrap()])
        .json(0);
    let dev: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(dev, model);
    assert_eq!(says(written["binary"].as_str().unwrap()), model);
}
