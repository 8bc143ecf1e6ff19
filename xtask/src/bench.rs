//! `cargo xtask bench`: runs the benches, which are the binaries `bench-*` of `underlay-tests`.
//!
//! Each prints its figures beside its bare baseline and the ratio, from one run. This file knows no figure.

use std::path::Path;

use serde_json::Value;

use crate::process::{self, cargo};

const PREFIX: &str = "bench-";

/// Runs one bench, or all.
pub(crate) fn run(root: &Path, name: Option<&str>) -> Result<(), String> {
    let known = known(root)?;
    let chosen: Vec<&String> = match name {
        None => known.iter().collect(),
        Some(name) => known.iter().filter(|bench| *bench == name).collect(),
    };
    if chosen.is_empty() {
        let names = if known.is_empty() {
            "there are none yet".to_owned()
        } else {
            known.join(", ")
        };
        return Err(format!(
            "no bench of that name in tests/src/bin/; those that exist: {names}"
        ));
    }
    let mut failures = Vec::new();
    for bench in chosen {
        println!("==> bench {bench}");
        let line = format!("run --quiet --release --package underlay-tests --bin {PREFIX}{bench}");
        if let Err(message) = process::run(&mut cargo(root, &line)) {
            failures.push(message);
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures.join("\n"))
    }
}

/// The names of the benches that exist, from cargo's own list of binaries.
fn known(root: &Path) -> Result<Vec<String>, String> {
    let text = process::output(&mut cargo(root, "metadata --no-deps --format-version 1"))?;
    let metadata: Value =
        serde_json::from_str(&text).map_err(|error| format!("`cargo metadata` printed {error}"))?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let targets = packages.filter(|package| package["name"] == "underlay-tests");
    let targets = targets.flat_map(|package| package["targets"].as_array().into_iter().flatten());
    Ok(targets
        .filter_map(|target| target["name"].as_str()?.strip_prefix(PREFIX))
        .map(str::to_owned)
        .collect())
}
