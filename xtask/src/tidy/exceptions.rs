//! What tidy lets pass, each with its reason. An entry that is no longer needed is a violation.

/// What an exception is for: a path or name, and the reason.
pub(super) type Exception = (&'static str, &'static str);

/// Files over 600 lines.
pub(super) const LONG_FILES: &[Exception] = &[(
    "crates/underlay-model/tests/infra.rs",
    "one table of inputs and expected problems over one document; a reader looks for a field in it",
)];

/// Test files that may sleep: only between two looks at a real server or process, under a deadline.
pub(super) const SLEEPING_TESTS: &[Exception] = &[
    (
        "tests/baseline/orders.rs",
        "waits for a server of the bench's to answer, as a bare program would, under a deadline",
    ),
    (
        "tests/src/bin/bench-start/postgres.rs",
        "waits for a bare server to end or to answer, under a deadline",
    ),
    (
        "tests/src/bench/application.rs",
        "polls a process and its port, which is how the bench measures from outside, under a deadline",
    ),
    (
        "crates/underlay-local/tests/servers/application.rs",
        "`eventually` looks again at another process, which can notify nobody, under a deadline",
    ),
    (
        "tests/tests/e2e/application.rs",
        "`eventually` looks again at another process, which can notify nobody, under a deadline",
    ),
];

/// Crates with lints of their own, and files with code that those lints let pass.
pub(super) const UNSAFE: &[Exception] = &[
    (
        "crates/underlay/Cargo.toml",
        "`deny` instead of `forbid`, so that one file can lift it",
    ),
    (
        "crates/underlay/src/inventory.rs",
        "a linkme slice is declared with a link section, which counts as unsafe code",
    ),
];

/// Crates and folders that documents may name although they do not exist yet.
pub(super) const PLANNED: &[Exception] = &[
    ("underlay-manifests", "a later issue"),
    ("underlay-dashboard", "a later issue"),
];

/// Paths that documents name and that belong to the user's project or machine, or are made by a build.
pub(super) const ELSEWHERE: &[Exception] = &[
    ("underlay.toml", "the user's"),
    (".underlay", "state of the user's checkout"),
    ("target", "made by cargo"),
];

/// Whether a list has an entry.
pub(super) fn is_in(list: &[Exception], name: &str) -> bool {
    list.iter().any(|(entry, _)| *entry == name)
}
