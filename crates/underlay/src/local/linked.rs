//! Whether every source file with declarations is in the binary: a crate that no code names is not linked, and its
//! declarations are then missing without a word.
//!
//! This is the quick look of a local start, on the text of the files that cargo says the binary was built from.
//! `cargo underlay check` looks at the compiled crates themselves.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use underlay_model::Model;

/// The attributes that declare something.
const ATTRIBUTES: [&str; 10] = [
    "api",
    "bucket",
    "cache",
    "cron",
    "database",
    "keyspace",
    "reference",
    "secret",
    "subscription",
    "topic",
];

/// Logs a warning for each crate that declares something of which nothing is in this binary.
pub(crate) fn warn(model: &Model, root: &Path) {
    let Ok(binary) = std::env::current_exe() else {
        return;
    };
    // Cargo's dep-info file: https://doc.rust-lang.org/cargo/reference/build-cache.html#dep-info-files
    let Ok(dep_info) = fs::read_to_string(binary.with_extension("d")) else {
        return;
    };
    let linked: BTreeSet<PathBuf> = files(model).map(|file| root.join(file)).collect();
    let mut warned = BTreeSet::new();
    for source in sources(&dep_info).filter(|path| path.starts_with(root) && !linked.contains(path))
    {
        let Ok(text) = fs::read_to_string(&source) else {
            continue;
        };
        let Some(line) = first_declaration(&text) else {
            continue;
        };
        let Some(package) = source
            .ancestors()
            .find(|folder| folder.join("Cargo.toml").is_file())
        else {
            continue;
        };
        // A crate of which another file is linked is linked; this file's declarations may be configured out.
        if linked.iter().any(|file| file.starts_with(package)) && !is_own_library(&source, package)
        {
            continue;
        }
        let name = package_name(package).replace('-', "_");
        if warned.insert(name.clone()) {
            let place = source.strip_prefix(root).unwrap_or(&source).display();
            tracing::warn!(
                target: "underlay",
                "{place}:{line} declares something, but its crate is not linked into this binary: \
                 add `use {name} as _;` to the binary's main.rs (`cargo underlay check` lists all)",
            );
        }
    }
}

/// The files that the model's declarations stand in.
fn files(model: &Model) -> impl Iterator<Item = &str> {
    macro_rules! files {
        ($($list:ident)*) => {
            std::iter::empty()$(.chain(model.$list.iter().map(|it| it.source.file.as_str())))*
        };
    }
    files!(databases topics subscriptions crons buckets caches keyspaces secrets endpoints references)
}

/// The Rust files in a dep-info file, which escapes spaces as make does.
fn sources(dep_info: &str) -> impl Iterator<Item = PathBuf> {
    let line = dep_info
        .lines()
        .next()
        .and_then(|line| line.split_once(": "))
        .map_or("", |(_, rest)| rest);
    let paths = line.replace("\\ ", "\0");
    let paths: Vec<PathBuf> = paths
        .split(' ')
        .filter(|path| path.ends_with(".rs"))
        .map(|path| PathBuf::from(path.replace('\0', " ")))
        .collect();
    paths.into_iter()
}

/// The line of the first attribute in the text that declares something.
fn first_declaration(text: &str) -> Option<usize> {
    let declares = |line: &str| {
        let line = line
            .strip_prefix("#[")
            .map(|line| line.strip_prefix("underlay::").unwrap_or(line))?;
        let name = line.split(['(', ']']).next()?;
        ATTRIBUTES.contains(&name).then_some(())
    };
    text.lines()
        .position(|line| declares(line).is_some())
        .map(|index| index + 1)
}

/// Whether the file belongs to a library whose package also has a `main.rs`, which may not name it.
fn is_own_library(source: &Path, package: &Path) -> bool {
    source == package.join("src/lib.rs") && package.join("src/main.rs").is_file()
}

fn package_name(package: &Path) -> String {
    let manifest = fs::read_to_string(package.join("Cargo.toml")).unwrap_or_default();
    let name = manifest.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "name").then(|| value.trim().trim_matches('"').to_owned())
    });
    name.unwrap_or_else(|| {
        package
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_found_at_the_start_of_a_line() {
        for (text, line) in [
            ("use x;\n#[topic(\"a\")]\n", Some(2)),
            ("#[underlay::bucket]\n", Some(1)),
            ("//! #[topic(\"a\")]\n", None),
            ("/// #[topic(\"a\")]\n", None),
            ("#[topical]\n", None),
            ("", None),
        ] {
            assert_eq!(first_declaration(text), line, "{text:?}");
        }
    }

    #[test]
    fn dep_info_paths_may_have_spaces() {
        let paths: Vec<PathBuf> = sources("/t/shop: /a\\ b/main.rs /c/lib.rs /c/x.sql\n").collect();
        assert_eq!(
            paths,
            [PathBuf::from("/a b/main.rs"), PathBuf::from("/c/lib.rs")]
        );
    }
}
