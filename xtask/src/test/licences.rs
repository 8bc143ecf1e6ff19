//! Every dependency, with every feature on, has a licence that those who link it can live with.

use std::path::Path;

use serde_json::Value;
use spdx::{Expression, ParseMode};

use crate::process::{self, cargo};

/// What a dependency may be under. None of these reaches what is linked with it.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Checks the licences of all dependencies; the error lists each that is not allowed.
pub(super) fn check(root: &Path) -> Result<String, String> {
    let text = process::output(&mut cargo(
        root,
        "metadata --all-features --format-version 1",
    ))?;
    let metadata: Value =
        serde_json::from_str(&text).map_err(|error| format!("`cargo metadata` printed {error}"))?;
    let packages = metadata["packages"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let problems: Vec<String> = packages.iter().filter_map(problem).collect();
    if problems.is_empty() {
        Ok(format!("{} crates", packages.len()))
    } else {
        Err(problems.join("\n"))
    }
}

/// Why a package may not be depended on, if so.
fn problem(package: &Value) -> Option<String> {
    let name = package["name"]
        .as_str()
        .unwrap_or("a package without a name");
    let Some(licence) = package["license"].as_str() else {
        return Some(format!(
            "{name} states no licence in its manifest; depend on something else"
        ));
    };
    match Expression::parse_mode(licence, ParseMode::LAX) {
        Err(error) => Some(format!(
            "the licence of {name} cannot be read: {licence}: {}",
            error.reason
        )),
        Ok(expression)
            if expression.evaluate(|one| {
                one.license
                    .id()
                    .is_some_and(|id| ALLOWED.contains(&id.name))
            }) =>
        {
            None
        }
        Ok(_) => Some(format!(
            "{name} is under {licence}; depend on something else, or argue in {}",
            file!()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_licence(licence: Value, allowed: bool) {
        let package = serde_json::json!({"name": "a", "license": licence});
        assert_eq!(problem(&package).is_none(), allowed, "{licence}");
    }

    #[test]
    fn licences() {
        for allowed in [
            "MIT",
            "MIT/Apache-2.0",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "LGPL-2.1-or-later OR MIT",
        ] {
            check_licence(allowed.into(), true);
        }
        for refused in ["GPL-3.0-only", "MIT AND GPL-2.0", "MIT AND nonsense"] {
            check_licence(refused.into(), false);
        }
        check_licence(Value::Null, false);
    }
}
