//! Each crate with cargo features builds without any, with each alone, and with all: features only ever add.

use std::path::Path;

use serde_json::Value;

use crate::process::{self, cargo};

/// Checks every set of features of every crate in `crates/`; the error lists those that do not build.
pub(super) fn check(root: &Path, strict: bool) -> Result<String, String> {
    let text = process::output(&mut cargo(root, "metadata --no-deps --format-version 1"))?;
    let metadata: Value =
        serde_json::from_str(&text).map_err(|error| format!("`cargo metadata` printed {error}"))?;
    let mut failures = Vec::new();
    let mut built = 0;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let Some(name) = package["name"].as_str() else {
            continue;
        };
        for set in sets(package) {
            println!("    {name} {set}");
            let deny = if strict { " -- -D warnings" } else { "" };
            let line = format!("clippy --quiet --package {name} {set}{deny}");
            if let Err(message) = process::run(&mut cargo(root, &line)) {
                failures.push(message);
            }
            built += 1;
        }
    }
    if failures.is_empty() {
        Ok(format!("{built} sets of features"))
    } else {
        Err(failures.join("\n"))
    }
}

/// The arguments for each set of a package's features; none for a package without features.
fn sets(package: &Value) -> Vec<String> {
    let features = package["features"]
        .as_object()
        .into_iter()
        .flat_map(|features| features.keys());
    let features: Vec<&String> = features.filter(|feature| *feature != "default").collect();
    if features.is_empty() {
        return Vec::new();
    }
    let mut sets = vec!["--no-default-features".to_owned()];
    sets.extend(
        features
            .iter()
            .map(|feature| format!("--no-default-features --features {feature}")),
    );
    sets.push("--all-features".to_owned());
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_each_and_all() {
        let package = serde_json::json!({"features": {"default": ["a"], "a": [], "b": []}});
        let expected = [
            "--no-default-features",
            "--no-default-features --features a",
            "--no-default-features --features b",
            "--all-features",
        ];
        assert_eq!(sets(&package), expected);
        assert!(sets(&serde_json::json!({"features": {}})).is_empty());
    }
}
