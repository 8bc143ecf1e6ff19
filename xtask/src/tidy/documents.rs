//! Rules on documents: what they name exists, and what must have a line there has one.
//!
//! In `README.md` files and `docs/`, a word in backticks is taken for a path if it starts with a folder of the root or
//! ends like a file name, and for a crate if it is named like one of ours. Fenced code is only read for `-p <crate>`.

use std::collections::BTreeSet;

use super::Violation;
use super::exceptions::{ELSEWHERE, Exception, PLANNED, is_in};
use super::manifests::{foreign_dependencies, packages};
use super::tree::{File, Tree};

const SUFFIXES: &[&str] = &[
    ".rs", ".md", ".toml", ".sql", ".sh", ".json", ".stderr", ".lock",
];
const DEPENDENCIES: &str = "docs/dependencies.md";

/// Folders that exist only on the machine of whoever wrote them. In two parts, so that this file may hold them.
const MACHINE_PATHS: &[&str] = &[concat!("/wor", "k/"), concat!("/roo", "t/")];

pub(super) fn check(tree: &Tree, found: &mut Vec<Violation>) {
    let packages: BTreeSet<String> = packages(tree).into_iter().map(|(name, _)| name).collect();
    for file in tree.files.iter().filter(|file| is_document(&file.path)) {
        check_names(tree, file, &packages, found);
    }
    for (name, _) in PLANNED {
        if packages.contains(*name) || tree.has(name) {
            let what = format!("the entry `{name}` of PLANNED exists now; remove it");
            found.push(Violation::new("xtask/src/tidy/exceptions.rs", 1, what));
        }
    }
    check_dependencies(tree, found);
    check_decisions(tree, found);
    check_changelog(tree, found);
    for file in &tree.files {
        check_machine_paths(file, found);
    }
}

fn is_document(path: &str) -> bool {
    path == "README.md"
        || path.ends_with("/README.md")
        || (path.starts_with("docs/") && path.ends_with(".md"))
}

fn check_names(tree: &Tree, file: &File, packages: &BTreeSet<String>, found: &mut Vec<Violation>) {
    let mut fenced = false;
    for (number, line) in file.text.lines().enumerate() {
        let mut report = |what: String| found.push(Violation::new(&file.path, number + 1, what));
        let known_package = |name: &str| packages.contains(name) || is_in(PLANNED, name);
        for name in after_flag(line, &["-p", "--package"]) {
            if !known_package(name) {
                report(format!(
                    "names the package `{name}`, which does not exist; mend the name, or add it to PLANNED"
                ));
            }
        }
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        if fenced {
            continue;
        }
        for word in backticked(line) {
            if is_crate_name(word) && !known_package(word) {
                report(format!(
                    "names the crate `{word}`, which does not exist; mend the name, or add it to PLANNED"
                ));
            }
            if is_path(tree, word) && !exists(tree, word) {
                report(format!(
                    "names `{word}`, which does not exist; mend the path"
                ));
            }
        }
        for target in links(line) {
            let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let target = target.split('#').next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !linked(tree, folder, target) {
                report(format!(
                    "links to `{target}`, which does not exist; mend the link"
                ));
            }
        }
    }
}

/// The text between backticks on one line.
fn backticked(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The words after a flag such as `-p`.
fn after_flag<'a>(line: &'a str, flags: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    let words = line.split([' ', '`']);
    let next = line.split([' ', '`']).skip(1);
    let clean = |name: &'a str| name.trim_end_matches(['.', ',', ';', ')']);
    words
        .zip(next)
        .filter(|(flag, name)| flags.contains(flag) && !name.starts_with('<'))
        .map(move |(_, name)| clean(name))
}

/// The targets of Markdown links on one line.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
}

fn is_crate_name(word: &str) -> bool {
    let rest = word
        .strip_prefix("underlay-")
        .or_else(|| word.strip_prefix("cargo-underlay"));
    rest.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
}

fn is_path(tree: &Tree, word: &str) -> bool {
    if word.contains(|c: char| !(c.is_ascii_alphanumeric() || "/._-*".contains(c)))
        || word.starts_with(['/', '*'])
    {
        return false;
    }
    let (first, rest) = word.split_once('/').unwrap_or((word, ""));
    let folder = word.contains('/') && (tree.at_root(first) || is_in(PLANNED, first));
    let suffix = SUFFIXES
        .iter()
        .any(|suffix| word.len() > suffix.len() && word.ends_with(suffix));
    folder || (suffix && !rest.starts_with('.'))
}

fn exists(tree: &Tree, word: &str) -> bool {
    let word = word.trim_end_matches('/');
    tree.has(word) || under(PLANNED, word) || under(ELSEWHERE, word)
}

fn linked(tree: &Tree, folder: &str, target: &str) -> bool {
    let mut path: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    let path = path.join("/");
    tree.at_root(&path) || (path.contains('/') && tree.has(&path)) || under(PLANNED, &path)
}

/// Whether a path is an entry of the list, or within one.
fn under(list: &[Exception], path: &str) -> bool {
    list.iter().any(|(entry, _)| {
        path.strip_prefix(entry)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Each foreign dependency has a row ``| `name` | …`` in the document, and each row a dependency.
fn check_dependencies(tree: &Tree, found: &mut Vec<Violation>) {
    let (Some(manifest), Some(document)) = (tree.file("Cargo.toml"), tree.file(DEPENDENCIES))
    else {
        found.push(Violation::new(
            DEPENDENCIES,
            1,
            "does not exist; it says what each foreign dependency is for",
        ));
        return;
    };
    let rows = document.text.lines().enumerate();
    let rows = rows.filter_map(|(number, line)| {
        Some((line.strip_prefix("| `")?.split_once('`')?.0, number + 1))
    });
    let rows: Vec<(&str, usize)> = rows.collect();
    let dependencies = foreign_dependencies(manifest);
    for (name, line) in &dependencies {
        if !rows.iter().any(|(row, _)| row == name) {
            let what = format!(
                "`{name}` has no row in {DEPENDENCIES}; add what for, instead of what, and the crates it brings"
            );
            found.push(Violation::new("Cargo.toml", *line, what));
        }
    }
    for (at, (row, line)) in rows.iter().enumerate() {
        if !dependencies.iter().any(|(name, _)| name == row) {
            let what = format!("`{row}` is not in [workspace.dependencies]; remove the row");
            found.push(Violation::new(DEPENDENCIES, *line, what));
        }
        if rows[..at].iter().any(|(earlier, _)| earlier == row) {
            found.push(Violation::new(
                DEPENDENCIES,
                *line,
                format!("`{row}` has two rows; keep one"),
            ));
        }
    }
}

/// Decisions are numbered without gaps or doubles: `0001-title.md`.
fn check_decisions(tree: &Tree, found: &mut Vec<Violation>) {
    let decisions = tree
        .files
        .iter()
        .filter_map(|file| Some((file, file.path.strip_prefix("docs/decisions/")?)));
    for (at, (file, name)) in decisions
        .filter(|(_, name)| *name != "README.md")
        .enumerate()
    {
        let expected = format!("{:04}-", at + 1);
        if !name.starts_with(&expected) {
            let what = format!(
                "decisions are numbered in order, without gaps; the number here is `{expected}`"
            );
            found.push(Violation::new(&file.path, 1, what));
        }
    }
}

fn check_changelog(tree: &Tree, found: &mut Vec<Violation>) {
    if !tree
        .file("CHANGELOG.md")
        .is_some_and(|file| file.text.lines().any(|line| line == "## [Unreleased]"))
    {
        found.push(Violation::new(
            "CHANGELOG.md",
            1,
            "has no section `## [Unreleased]`; add it",
        ));
    }
}

fn check_machine_paths(file: &File, found: &mut Vec<Violation>) {
    for path in MACHINE_PATHS {
        for (offset, _) in file.text.match_indices(path) {
            let before = file.text[..offset].chars().next_back();
            // Part of a longer path or of an address.
            if before.is_some_and(|c| c.is_alphanumeric() || "._-}$~*/".contains(c)) {
                continue;
            }
            let what = format!(
                "names `{path}` of somebody's machine; name it from the root of the repository"
            );
            found.push(Violation::new(&file.path, file.line(offset), what));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[workspace.dependencies]\nunderlay = { path = \"x\" }\nserde = \"1\"\n";
    const SHOP: &str = "[package]\nname = \"underlay-real\"\n";

    #[track_caller]
    fn check_document(path: &str, text: &str, expected: &[&str]) {
        let mut files = vec![
            ("Cargo.toml", MANIFEST),
            ("crates/underlay-real/Cargo.toml", SHOP),
            ("crates/underlay-real/src/bind.rs", ""),
            ("docs/dependencies.md", "| `serde` | a | b | 1 |\n"),
            ("docs/decisions/0001-first.md", ""),
            ("CHANGELOG.md", "## [Unreleased]\n"),
        ];
        files.retain(|(other, _)| *other != path);
        files.push((path, text));
        files.sort();
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

    #[test]
    fn names() {
        for good in [
            "`crates/underlay-real/src/bind.rs` `bind.rs` `crates/*/src/` `underlay-real` `underlay-manifests`",
            "`text/plain` `foo/:a` `underlay.toml` `.underlay/x` `target/underlay/model.json` `GET /a.rs` `a::b`",
            "```\n`crates/none.rs`\n```",
            "`cargo run -p underlay-real`, `-p <crate>`",
            "[a](dependencies.md#x) [b](https://a.example/b.md) [c](../CHANGELOG.md) [d](#e)",
        ] {
            check_document("docs/a.md", good, &[]);
        }
        for (bad, expected) in [
            (
                "\n`crates/underlay-real/src/none.rs`",
                "docs/a.md:2: names `crates/underlay-real/src/none.rs`",
            ),
            ("`none.rs`", "docs/a.md:1: names `none.rs`"),
            ("`underlay-none`", "the crate `underlay-none`"),
            (
                "```\ncargo run -p none\n```",
                "docs/a.md:2: names the package `none`",
            ),
            ("[a](none.md)", "links to `none.md`"),
        ] {
            check_document("docs/a.md", bad, &[expected]);
        }
    }

    #[test]
    fn dependencies() {
        check_document(DEPENDENCIES, "", &["Cargo.toml:3: `serde` has no row"]);
        let rows = "| `serde` | a | b | 1 |\n| `none` | a | b | 1 |\n| `serde` | a | b | 1 |\n";
        check_document(
            DEPENDENCIES,
            rows,
            &[
                "dependencies.md:2: `none` is not in",
                "dependencies.md:3: `serde` has two rows",
            ],
        );
    }

    #[test]
    fn decisions_and_changelog() {
        check_document(
            "docs/decisions/0003-third.md",
            "",
            &["0003-third.md:1: decisions are numbered"],
        );
        check_document(
            "CHANGELOG.md",
            "# Changelog\n",
            &["CHANGELOG.md:1: has no section"],
        );
    }

    #[test]
    fn machine_paths() {
        let path = MACHINE_PATHS[0];
        check_document(
            "docs/a.txt",
            &format!("see {path}x\n"),
            &["docs/a.txt:1: names"],
        );
        check_document(
            "docs/a.txt",
            &format!("see https://a.example{path}x\n"),
            &[],
        );
    }
}
