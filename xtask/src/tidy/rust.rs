//! Rules on `.rs` files: what must be at their head, what must not be in them, and two of the invariants.

use std::ops::Range;

use super::Violation;
use super::code::{closing, test_parts, words};
use super::exceptions::{LONG_FILES, SLEEPING_TESTS, UNSAFE, is_in};
use super::tree::{File, Tree};

const MOST_LINES: usize = 600;

/// Text that occurs in no code, and what to do instead.
const FORBIDDEN: &[(&str, &str)] = &[
    (
        "#[ignore",
        "a test that needs a server reports itself ignored with a reason, and fails where it is required",
    ),
    (
        "#[should_panic",
        "return an error and check it; no panic is expected",
    ),
    ("dbg!", "remove it, or log with tracing"),
    ("todo!", "return an error that says what cannot be done yet"),
    (
        "unimplemented!",
        "return an error that says what cannot be done yet",
    ),
];

/// The first components of paths that only resolve if the user's crate has such a name.
const FOREIGN_HEADS: &[&str] = &[
    "std",
    "core",
    "alloc",
    "underlay",
    "serde",
    "serde_json",
    "tokio",
    "linkme",
    "axum",
    "sqlx",
    "tracing",
];

/// Where a provider's name may be matched on: the one place that binds, the document itself, and who writes it.
const MAY_NAME_PROVIDERS: &[&str] = &[
    "crates/underlay/src/bind.rs",
    "crates/underlay/src/bind/",
    "crates/underlay-model/",
    "crates/underlay-local/",
    "crates/underlay-manifests/",
];

pub(super) fn check(tree: &Tree, found: &mut Vec<Violation>) {
    for file in tree.rust() {
        let tests = Tests::of(file);
        check_head(file, found);
        check_length(file, found);
        check_forbidden(file, found);
        check_unsafe(file, found);
        check_sleep(file, &tests, found);
        check_globs(file, &tests, found);
        check_providers(file, &tests, found);
        check_expansions(file, &tests, found);
    }
    for (path, _) in LONG_FILES {
        if tree
            .file(path)
            .is_none_or(|file| file.text.lines().count() <= MOST_LINES)
        {
            found.push(dead(path, "LONG_FILES"));
        }
    }
    for (path, _) in SLEEPING_TESTS {
        if tree
            .file(path)
            .is_none_or(|file| sleeps(file).next().is_none())
        {
            found.push(dead(path, "SLEEPING_TESTS"));
        }
    }
    for (path, _) in UNSAFE.iter().filter(|(path, _)| path.ends_with(".rs")) {
        if tree.file(path).is_none_or(|file| !lifts_unsafe(file)) {
            found.push(dead(path, "UNSAFE"));
        }
    }
}

fn dead(path: &str, list: &str) -> Violation {
    let what = format!("the entry `{path}` of {list} is no longer needed; remove it");
    Violation::new("xtask/src/tidy/exceptions.rs", 1, what)
}

/// Which parts of a file are tests.
struct Tests {
    all: bool,
    parts: Vec<Range<usize>>,
}

impl Tests {
    fn of(file: &File) -> Self {
        let path = format!("/{}", file.path);
        let all =
            path.contains("/tests/") || path.ends_with("/tests.rs") || path.contains("/benches/");
        Self {
            all,
            parts: test_parts(&file.code),
        }
    }

    fn contain(&self, offset: usize) -> bool {
        self.all || self.parts.iter().any(|part| part.contains(&offset))
    }
}

fn check_head(file: &File, found: &mut Vec<Violation>) {
    if !file.text.starts_with("//!") {
        let what =
            "does not start with `//!`; say there why the file exists and what it must not know";
        found.push(Violation::new(&file.path, 1, what));
    }
}

fn check_length(file: &File, found: &mut Vec<Violation>) {
    let lines = file.text.lines().count();
    if lines > MOST_LINES && !is_in(LONG_FILES, &file.path) {
        let what = format!(
            "has {lines} lines; split it, or argue in LONG_FILES of xtask/src/tidy/exceptions.rs"
        );
        found.push(Violation::new(&file.path, lines, what));
    }
}

fn check_forbidden(file: &File, found: &mut Vec<Violation>) {
    for (text, instead) in FORBIDDEN {
        for (offset, _) in file.code.match_indices(text) {
            if !within_word(&file.code, offset) {
                found.push(Violation::new(
                    &file.path,
                    file.line(offset),
                    format!("`{text}`: {instead}"),
                ));
            }
        }
    }
}

/// Whether a file lifts the lint against unsafe code.
fn lifts_unsafe(file: &File) -> bool {
    words(&file.code).any(|(offset, word)| {
        let before = file.code[..offset].trim_end();
        word == "unsafe_code"
            && ["allow(", "expect(", "warn("]
                .iter()
                .any(|level| before.ends_with(level))
    })
}

fn check_unsafe(file: &File, found: &mut Vec<Violation>) {
    if lifts_unsafe(file) && !is_in(UNSAFE, &file.path) {
        let what = "lifts the lint against unsafe code; find a safe way, or argue in UNSAFE of xtask/src/tidy/exceptions.rs";
        found.push(Violation::new(
            &file.path,
            file.line_of("unsafe_code"),
            what,
        ));
    }
}

fn within_word(code: &str, offset: usize) -> bool {
    code[..offset].ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// Where a file sleeps in real time. Under tokio's paused clock, its sleep is no wait.
fn sleeps(file: &File) -> impl Iterator<Item = usize> {
    let paused = ["start_paused", "time::pause("]
        .iter()
        .any(|text| file.code.contains(text));
    let calls = words(&file.code).filter(|(_, word)| *word == "sleep" || *word == "sleep_until");
    calls.map(|(offset, _)| offset).filter(move |offset| {
        let before = &file.code[..*offset];
        before.ends_with("thread::") || (!paused && before.ends_with("time::"))
    })
}

fn check_sleep(file: &File, tests: &Tests, found: &mut Vec<Violation>) {
    if is_in(SLEEPING_TESTS, &file.path) {
        return;
    }
    for offset in sleeps(file).filter(|offset| tests.contain(*offset)) {
        let what = "sleeps in a test; wait for the event itself, or pause tokio's clock";
        found.push(Violation::new(&file.path, file.line(offset), what));
    }
}

fn check_globs(file: &File, tests: &Tests, found: &mut Vec<Violation>) {
    let expansions = expansions(file);
    for (offset, word) in words(&file.code) {
        if word != "use"
            || tests.contain(offset)
            || expansions.iter().any(|body| body.contains(&offset))
        {
            continue;
        }
        let statement = file.code[offset..].split(';').next().unwrap_or_default();
        if statement.replace("prelude::*", "").contains('*') {
            let what = "imports by `*`; name what is imported (only preludes are imported whole)";
            found.push(Violation::new(&file.path, file.line(offset), what));
        }
    }
}

/// Invariant 4.
fn check_providers(file: &File, tests: &Tests, found: &mut Vec<Violation>) {
    if !file.path.starts_with("crates/")
        || MAY_NAME_PROVIDERS
            .iter()
            .any(|path| file.path.starts_with(path))
    {
        return;
    }
    for (offset, word) in words(&file.code) {
        let variant = file.code[offset + word.len()..].strip_prefix("::");
        let variant = variant.is_some_and(|rest| rest.starts_with(|c: char| c.is_uppercase()));
        if matches!(word, "PubSub" | "ObjectStorage") && variant && !tests.contain(offset) {
            let what = "names a provider; only crates/underlay/src/bind.rs matches on providers (invariant 4)";
            found.push(Violation::new(&file.path, file.line(offset), what));
        }
    }
}

/// The bodies of `quote!` and its kin: code of the user's crate, not of the file's.
fn expansions(file: &File) -> Vec<Range<usize>> {
    let code = &file.code;
    let bodies = words(code).filter_map(|(offset, word)| {
        let is_quote = matches!(
            word,
            "quote" | "quote_spanned" | "parse_quote" | "parse_quote_spanned"
        );
        let open = offset + word.len() + code[offset + word.len()..].find(['{', '(', '['])?;
        let called = is_quote && code[offset + word.len()..open].trim() == "!";
        called.then(|| open..closing(code, open).unwrap_or(code.len()))
    });
    bodies.collect()
}

/// Invariant 2: expansions name nothing but `::underlay::__private`.
fn check_expansions(file: &File, tests: &Tests, found: &mut Vec<Violation>) {
    if !file.path.starts_with("crates/underlay-macros/src/") {
        return;
    }
    for body in expansions(file)
        .into_iter()
        .filter(|body| !tests.contain(body.start))
    {
        for (at, head) in paths_elsewhere(&file.code[body.clone()]) {
            let what = format!(
                "an expansion names `{head}`; name `::underlay::__private::{head}`, re-exported there (invariant 2)"
            );
            found.push(Violation::new(&file.path, file.line(body.start + at), what));
        }
    }
}

/// The offsets and heads of paths in an expansion that start at a crate's name, but not with `::underlay::__private`.
fn paths_elsewhere(body: &str) -> Vec<(usize, &str)> {
    let mut elsewhere = Vec::new();
    for (offset, word) in words(body) {
        let before = body[..offset].trim_end();
        let is_head = body[offset + word.len()..].trim_start().starts_with("::");
        let absolute = before.strip_suffix("::").is_some_and(|before| {
            let before = before.trim_end();
            let arrow = before.ends_with("=>") || before.ends_with("->");
            arrow
                || !before
                    .ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '>' | ')' | '}'))
        });
        let relative = !before.ends_with("::") && !before.ends_with(['#', '.', '\'']);
        let wrong = if absolute {
            let rest: String = body[offset..]
                .chars()
                .filter(|c| !c.is_whitespace())
                .take(19)
                .collect();
            rest != "underlay::__private"
        } else {
            relative && is_head && FOREIGN_HEADS.contains(&word)
        };
        if wrong {
            elsewhere.push((offset, word));
        }
    }
    elsewhere
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_text(path: &str, text: &str, expected: &[&str]) {
        let tree = Tree::of(vec![File::new(path, text)]);
        let mut found = Vec::new();
        check(&tree, &mut found);
        let found: Vec<String> = found
            .iter()
            .map(Violation::to_string)
            .filter(|line| line.starts_with(path))
            .collect();
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                found.contains(expected),
                "{found}\ndoes not contain\n{expected}"
            );
        }
    }

    #[test]
    fn heads_and_lengths() {
        check_text("a.rs", "//! Why.\n", &[]);
        check_text("a.rs", "// Why.\n//! Why.\n", &["a.rs:1: does not start"]);
        check_text("a.rs", &format!("//! Why.\n{}", "\n".repeat(599)), &[]);
        check_text(
            "a.rs",
            &format!("//! Why.\n{}", "\n".repeat(600)),
            &["a.rs:601: has 601 lines"],
        );
    }

    #[test]
    fn forbidden_words() {
        check_text(
            "a.rs",
            "//! todo!\nconst A: &str = \"dbg!\"; // todo!()\nlet not_todo!();",
            &[],
        );
        check_text("a.rs", "//!\nfn a() { todo!() }", &["a.rs:2: `todo!`"]);
        check_text(
            "a.rs",
            "//!\n#[ignore = \"slow\"]\nfn a() {}",
            &["a.rs:2: `#[ignore`"],
        );
    }

    #[test]
    fn unsafe_code() {
        check_text("a.rs", "//!\n#![forbid(unsafe_code)]", &[]);
        check_text(
            "a.rs",
            "//!\n\n#[allow(unsafe_code)]\nfn a() {}",
            &["a.rs:3: lifts the lint"],
        );
    }

    #[test]
    fn sleeping() {
        let sleeping = "//!\nfn a() { std::thread::sleep(x) }\n";
        check_text("crates/a/src/a.rs", sleeping, &[]);
        check_text("crates/a/tests/a.rs", sleeping, &["a.rs:2: sleeps"]);
        check_text(
            "crates/a/src/a.rs",
            "//!\n#[cfg(test)]\nmod t { async fn a() { tokio::time::sleep(x).await } }",
            &["a.rs:3"],
        );
        check_text(
            "tests/a.rs",
            "//!\n#[tokio::test(start_paused = true)]\nasync fn a() { time::sleep(x).await }",
            &[],
        );
    }

    #[test]
    fn globs() {
        check_text("a.rs", "//!\nuse a::{b, c::*};", &["a.rs:2: imports"]);
        check_text(
            "a.rs",
            "//!\nuse a::prelude::*;\n#[cfg(test)]\nmod tests { use super::*; }",
            &[],
        );
    }

    #[test]
    fn providers() {
        let text = "//!\nfn a(p: &PubSub) { matches!(p, PubSub::Nats { .. }); PubSub::new() }";
        check_text(
            "crates/underlay/src/start.rs",
            text,
            &["start.rs:2: names a provider"],
        );
        check_text("crates/underlay/src/bind.rs", text, &[]);
    }

    #[test]
    fn expansions() {
        let path = "crates/underlay-macros/src/a.rs";
        let good = "//!\nfn a() { std::mem::take(x); quote! { ::underlay::__private::A::b(); #x::y; <T>::z; module_path!() } }";
        check_text(path, good, &[]);
        check_text(
            path,
            "//!\nfn a() { quote! {\n::core::mem::drop(1) } }",
            &["a.rs:3: an expansion"],
        );
        check_text(
            path,
            "//!\nfn a() { quote!(a,\nstd::mem::drop(1)) }",
            &["a.rs:3: an expansion"],
        );
        check_text(
            path,
            "//!\nfn a() { quote_spanned!(s=> ::underlay::Topic) }",
            &["a.rs:2: an expansion"],
        );
    }
}
