//! Rules on the `Cargo.toml` files: the arrows between our crates, versions in one table, lints, and the lock file.

use serde_json::Value;

use super::Violation;
use super::exceptions::{UNSAFE, is_in};
use super::tree::{File, Tree};

/// Who may depend on whom; what is not here may not be. `xtask` builds before all others, so only
/// its tests may depend on any.
const ARROWS: &[(&str, &[&str])] = &[
    ("underlay-model", &[]),
    ("underlay-macros", &["underlay-model"]),
    ("underlay-backends", &["underlay-model"]),
    ("underlay-local", &["underlay-model"]),
    ("underlay-manifests", &["underlay-model"]),
    ("underlay-dashboard", &["underlay-model"]),
    (
        "underlay",
        &[
            "underlay-macros",
            "underlay-backends",
            "underlay-model",
            "underlay-local",
        ],
    ),
    (
        "cargo-underlay",
        &[
            "underlay-model",
            "underlay-backends",
            "underlay-local",
            "underlay-manifests",
            "underlay-dashboard",
        ],
    ),
    ("xtask", &["underlay-model", "underlay-backends"]),
];

const TABLES: &[&str] = &["dependencies", "dev-dependencies", "build-dependencies"];

pub(super) fn check(tree: &Tree, found: &mut Vec<Violation>) {
    for file in &tree.files {
        if file.path == "Cargo.lock" {
            check_lock(file, found);
        } else if file.path == ".cargo/config.toml" {
            check_config(file, found);
        } else if file.path == "Cargo.toml" || file.path.ends_with("/Cargo.toml") {
            match basic_toml::from_str::<Value>(&file.text) {
                Ok(manifest) => check_manifest(file, &manifest, found),
                Err(error) => found.push(Violation::new(
                    &file.path,
                    1,
                    format!("cannot be read: {error}"),
                )),
            }
        }
    }
}

/// The names of the packages of the workspace, with the folders they are in.
pub(super) fn packages(tree: &Tree) -> Vec<(String, String)> {
    let manifests = tree
        .files
        .iter()
        .filter_map(|file| Some((file, file.path.strip_suffix("/Cargo.toml")?)));
    manifests
        .filter_map(|(file, folder)| Some((package_name(file)?, folder.to_owned())))
        .collect()
}

/// The foreign names in `[workspace.dependencies]`, with their lines.
pub(super) fn foreign_dependencies(manifest: &File) -> Vec<(String, usize)> {
    let Ok(value) = basic_toml::from_str::<Value>(&manifest.text) else {
        return Vec::new();
    };
    let Some(table) = value["workspace"]["dependencies"].as_object() else {
        return Vec::new();
    };
    let foreign = table
        .iter()
        .filter(|(_, dependency)| dependency["path"].is_null());
    foreign
        .map(|(name, _)| (name.clone(), manifest.line_of(&format!("\n{name} =")) + 1))
        .collect()
}

fn package_name(file: &File) -> Option<String> {
    let manifest: Value = basic_toml::from_str(&file.text).ok()?;
    manifest["package"]["name"].as_str().map(str::to_owned)
}

fn check_manifest(file: &File, manifest: &Value, found: &mut Vec<Violation>) {
    let Some(name) = manifest["package"]["name"].as_str() else {
        return;
    };
    let lints = &manifest["lints"];
    let own_lints = is_in(UNSAFE, &file.path) && lints["rust"]["unsafe_code"] == "deny";
    if lints["workspace"] != true && !own_lints {
        found.push(Violation::new(
            &file.path,
            1,
            "does not share the workspace's lints; add `[lints] workspace = true`",
        ));
    }
    let targets = manifest["target"].as_object();
    let holders =
        std::iter::once(manifest).chain(targets.into_iter().flat_map(|targets| targets.values()));
    for holder in holders {
        for table in TABLES {
            for (key, dependency) in holder[*table].as_object().into_iter().flatten() {
                check_dependency(file, name, table, (key, dependency), found);
            }
        }
    }
}

fn check_dependency(
    file: &File,
    package: &str,
    table: &str,
    (key, dependency): (&str, &Value),
    found: &mut Vec<Violation>,
) {
    let line = dependency_line(file, key);
    let name = dependency["package"].as_str().unwrap_or(key);
    if dependency["workspace"] != true && dependency["path"].is_null() {
        found.push(Violation::new(
            &file.path,
            line,
            format!("gives `{key}` a version of its own; put it into [workspace.dependencies] and say `workspace = true`"),
        ));
    }
    if name == "underlay-tests" {
        found.push(Violation::new(
            &file.path,
            line,
            "depends on underlay-tests, on which nothing may depend",
        ));
        return;
    }
    // A crate's tests may need more of its own features than its users do.
    let itself = name == package && table == "dev-dependencies";
    if itself || !is_ours(name) {
        return;
    }
    let in_workspace = file.path.starts_with("crates/") || file.path.starts_with("xtask/");
    let allowed = match ARROWS.iter().find(|(from, _)| *from == package) {
        Some((_, to)) => to.contains(&name) && (package != "xtask" || table == "dev-dependencies"),
        // Examples depend on what users depend on; tests/ depends on all.
        None => !in_workspace && (file.path.starts_with("tests/") || name == "underlay"),
    };
    if !allowed {
        let what = format!(
            "the arrow {package} -> {name} is not in docs/architecture.md; move the code, or change the architecture there \
             and in xtask/src/tidy/manifests.rs"
        );
        found.push(Violation::new(&file.path, line, what));
    }
}

fn is_ours(name: &str) -> bool {
    ARROWS.iter().any(|(crate_name, _)| *crate_name == name)
}

fn dependency_line(file: &File, key: &str) -> usize {
    let starts = |line: &str| {
        let rest = line.trim_start().strip_prefix(key);
        rest.is_some_and(|rest| rest.starts_with([' ', '.', '=']))
    };
    file.text
        .lines()
        .position(starts)
        .map_or(1, |line| line + 1)
}

/// A lock file made behind a mirror names it; anybody else's cargo would then refuse or reach for it.
fn check_lock(file: &File, found: &mut Vec<Violation>) {
    const CRATES_IO: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    for (number, line) in file.text.lines().enumerate() {
        if line.starts_with("source = \"") && line != CRATES_IO {
            found.push(Violation::new(
                &file.path,
                number + 1,
                "this source is not crates.io; use a released version",
            ));
        }
    }
}

fn check_config(file: &File, found: &mut Vec<Violation>) {
    for (number, line) in file.text.lines().enumerate() {
        if ["[source", "[registries", "[registry", "[http", "[net"]
            .iter()
            .any(|table| line.starts_with(table))
        {
            let what = "a registry or proxy belongs into the configuration of your machine; remove it here";
            found.push(Violation::new(&file.path, number + 1, what));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_files(files: &[(&str, &str)], expected: &[&str]) {
        let tree = Tree::of(
            files
                .iter()
                .map(|(path, text)| File::new(path, text))
                .collect(),
        );
        let mut found = Vec::new();
        check(&tree, &mut found);
        let found: Vec<String> = found.iter().map(Violation::to_string).collect();
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                found.contains(expected),
                "{found}\ndoes not contain\n{expected}"
            );
        }
    }

    const LINTS: &str = "[lints]\nworkspace = true\n";

    #[test]
    fn arrows() {
        let manifest =
            |name: &str, rest: &str| format!("[package]\nname = \"{name}\"\n{LINTS}{rest}");
        let good = manifest(
            "underlay",
            "[dependencies]\nunderlay-model.workspace = true\nserde.workspace = true\n",
        );
        check_files(&[("crates/underlay/Cargo.toml", &good)], &[]);
        let bad = manifest(
            "underlay-model",
            "[dependencies]\nserde.workspace = true\nunderlay-local.workspace = true\n",
        );
        let expected =
            "crates/underlay-model/Cargo.toml:7: the arrow underlay-model -> underlay-local";
        check_files(&[("crates/underlay-model/Cargo.toml", &bad)], &[expected]);
        let renamed = "[target.'cfg(unix)'.dev-dependencies]\nx = { package = \"underlay\", workspace = true }\n";
        let renamed = manifest("underlay-macros", renamed);
        check_files(
            &[("crates/underlay-macros/Cargo.toml", &renamed)],
            &["underlay-macros -> underlay is not"],
        );
        let tests = manifest(
            "underlay-tests",
            "[dependencies]\nunderlay-local.workspace = true\n",
        );
        check_files(&[("tests/Cargo.toml", &tests)], &[]);
        let on_tests = manifest(
            "shop",
            "[dependencies]\nunderlay-tests = { path = \"../../tests\" }\n",
        );
        check_files(
            &[("examples/shop/Cargo.toml", &on_tests)],
            &["on which nothing may depend"],
        );
        let inside = manifest(
            "shop",
            "[dependencies]\nunderlay-backends.workspace = true\n",
        );
        check_files(
            &[("examples/shop/Cargo.toml", &inside)],
            &["shop -> underlay-backends"],
        );
        let unknown = manifest(
            "underlay-new",
            "[dependencies]\nunderlay.workspace = true\n",
        );
        check_files(
            &[("crates/underlay-new/Cargo.toml", &unknown)],
            &["underlay-new -> underlay"],
        );
    }

    #[test]
    fn versions_and_lints() {
        let text = "[package]\nname = \"a\"\n[dependencies]\nserde = \"1\"\n";
        check_files(
            &[("examples/a/Cargo.toml", text)],
            &["lints", "a/Cargo.toml:4: gives `serde` a version"],
        );
    }

    #[test]
    fn lock_and_config() {
        let good = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
        let bad = "source = \"registry+https://mirror.example/index\"\n";
        check_files(
            &[("Cargo.lock", &format!("{good}{bad}"))],
            &["Cargo.lock:2: this source"],
        );
        check_files(
            &[(".cargo/config.toml", "[alias]\n[source.crates-io]\n")],
            &["config.toml:2: a registry"],
        );
    }
}
