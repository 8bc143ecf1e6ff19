//! Each crate with cargo features builds without any, with each alone, and with all: features only ever add. One that
//! only stands for others of its crate is built with all.

use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use super::seconds;
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
            print!("    {name} {set}");
            // A set takes a while.
            let _ = std::io::stdout().flush();
            let start = Instant::now();
            let deny = if strict { " -- -D warnings" } else { "" };
            let line = format!("clippy --quiet --package {name} {set}{deny}");
            if let Err(message) = process::run(&mut cargo(root, &line)) {
                failures.push(message);
            }
            println!("  {}", seconds(start));
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
    let features = package["features"].as_object().into_iter().flatten();
    let features: Vec<&String> = features
        .filter(|(name, means)| *name != "default" && !is_shorthand(means))
        .map(|(name, _)| name)
        .collect();
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

/// Whether a feature only names others of its crate.
fn is_shorthand(means: &Value) -> bool {
    let means = means.as_array().map(Vec::as_slice).unwrap_or_default();
    let names_own = |it: &Value| it.as_str().is_some_and(|it| !it.contains([':', '/']));
    !means.is_empty() && means.iter().all(names_own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_each_and_all() {
        let package = serde_json::json!({"features": {
            "default": ["a"], "a": [], "b": ["a", "dep:c"], "both": ["a", "b"]
        }});
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
