//! `cargo underlay` on workspaces that the tests write and that it builds itself.
//!
//! Most of them use a stand-in for the crate `underlay` that only declares (`fixtures/declare.rs`); one uses the
//! crate itself and compares what is read from the binary with what the running program says.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test that cannot go on fails"
)]

mod dead_letters;
#[path = "../program/mod.rs"]
mod program;
mod project;
mod round_trip;
mod state;

use std::fs;

use program::{Outcome, command};
use project::Project;
use serde_json::json;

const STAND_IN: [(&str, &str); 2] = [
    (
        "underlay/Cargo.toml",
        "[package]\nname = 'underlay'\nversion = '0.1.0'\nedition = '2024'\n[dependencies]\n\
         underlay-model = { path = '{repository}/crates/underlay-model' }\n",
    ),
    ("underlay/src/lib.rs", include_str!("fixtures/declare.rs")),
];

/// The manifest of a package that may depend on members of its workspace.
fn manifest(name: &str, dependencies: &[&str]) -> String {
    let mut text = format!(
        "[package]\nname = '{name}'\nversion = '0.3.1'\nedition = '2024'\n[dependencies]\n"
    );
    for dependency in dependencies {
        text.push_str(&format!("{dependency} = {{ path = '../{dependency}' }}\n"));
    }
    text
}

/// A package's name, the members it depends on, and its files with their texts.
type Package<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, &'a str)]);

/// A workspace of packages; `root` is what else its manifest says.
fn workspace(name: &str, root: &str, packages: &[Package<'_>]) -> Project {
    let project = Project::new(name, &STAND_IN);
    let names = packages.iter().map(|(name, ..)| *name);
    let members: Vec<_> = ["underlay"].into_iter().chain(names).collect();
    let workspace = format!("[workspace]\nmembers = {members:?}\nresolver = '3'\n{root}");
    project.write("Cargo.toml", &workspace);
    for (name, dependencies, files) in packages {
        project.write(&format!("{name}/Cargo.toml"), &manifest(name, dependencies));
        for (path, text) in *files {
            project.write(&format!("{name}/{path}"), text);
        }
    }
    project
}

fn names(model: &serde_json::Value) -> Vec<&str> {
    model["buckets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect()
}

fn error(message: &str, sources: &[&str]) -> (String, String, Vec<String>) {
    (
        "error".into(),
        message.into(),
        sources.iter().map(ToString::to_string).collect(),
    )
}

const BILLING: &str =
    "mod inner {\n    underlay::bucket!(\"invoices\");\n}\nunderlay::bucket!(\"receipts\");\n";
const BILLING_PLACES: [&str; 2] = ["billing/src/lib.rs:2:5", "billing/src/lib.rs:4:1"];

#[test]
fn a_dependency_that_no_code_names() {
    let project = workspace(
        "unnamed",
        "",
        &[
            ("billing", &["underlay"], &[("src/lib.rs", BILLING)]),
            (
                "shop",
                &["underlay", "billing"],
                &[(
                    "src/main.rs",
                    "underlay::bucket!(\"uploads\");\nfn main() {}\n",
                )],
            ),
        ],
    );
    let message = "crate `billing` declares 2 resources (first at billing/src/lib.rs:2:5) but is not linked into \
                   `shop`; add `use billing as _;` to shop/src/main.rs";
    assert_eq!(
        project.underlay(&["check", "--json"]).problems(1),
        [error(message, &BILLING_PLACES)]
    );
    assert_eq!(
        project.underlay(&["build", "--json"]).problems(1),
        [error(message, &BILLING_PLACES)]
    );
    let Outcome {
        code,
        stdout,
        stderr,
    } = project.underlay(&["check"]);
    assert_eq!((code, stdout.as_str()), (Some(1), "`shop`: 1 error\n"));
    let shown = format!(
        "error: {message}\n --> billing/src/lib.rs:2:5\n  |\n2 |     underlay::bucket!(\"invoices\");\n  |     \
         ^^^^^^^^\n  |\n ::: billing/src/lib.rs:4:1\n"
    );
    assert!(stderr.contains(&shown), "{stderr}");
    assert_eq!(names(&project.underlay(&["model"]).json(0)), ["uploads"]);

    project.write(
        "shop/src/main.rs",
        "use billing as _;\nunderlay::bucket!(\"uploads\");\nfn main() {}\n",
    );
    assert_eq!(project.underlay(&["check", "--json"]).problems(0), []);
    let built = project.underlay(&["build", "--json"]).json(0);
    assert_eq!(built["problems"], json!([]));
    let file = project.target().join("underlay/model.json");
    assert_eq!(built["model"], json!(file));
    let model: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(names(&model), ["invoices", "receipts", "uploads"]);
    assert_eq!(
        model["application"],
        json!({ "name": "shop", "version": "" })
    );
    // A later build that fails leaves no file that speaks of another binary.
    project.write("shop/src/main.rs", "fn main() {}\n");
    assert_eq!(
        project.underlay(&["build", "--json"]).problems(1),
        [error(message, &BILLING_PLACES)]
    );
    assert!(!file.exists());
}

#[test]
fn the_own_library_that_main_does_not_name() {
    let project = workspace(
        "own-library",
        "",
        &[(
            "my-shop",
            &["underlay"],
            &[
                (
                    "src/lib.rs",
                    "pub mod orders {\n    underlay::bucket!(\"uploads\");\n}\n",
                ),
                ("src/main.rs", "fn main() {}\n"),
            ],
        )],
    );
    let message = "crate `my_shop` declares 1 resource (first at my-shop/src/lib.rs:2:5) but is not linked into \
                   `my-shop`; add `use my_shop as _;` to my-shop/src/main.rs";
    for command in ["check", "build"] {
        assert_eq!(
            project.underlay(&[command, "--json"]).problems(1),
            [error(message, &["my-shop/src/lib.rs:2:5"])],
            "{command}"
        );
    }
    project.write("my-shop/src/main.rs", "use my_shop as _;\nfn main() {}\n");
    assert_eq!(project.underlay(&["check", "--json"]).problems(0), []);
}

#[test]
fn through_a_crate_in_the_middle() {
    let main = |text: &'static str| [("src/main.rs", text)];
    let project = workspace(
        "middle",
        "",
        &[
            ("billing", &["underlay"], &[("src/lib.rs", BILLING)]),
            ("middle", &["billing"], &[("src/lib.rs", "")]),
            ("shop", &["middle"], &main("fn main() {}\n")),
        ],
    );
    let start = "crate `billing` declares 2 resources (first at billing/src/lib.rs:2:5) but is not linked into `shop`; ";
    let both = format!(
        "{start}add, where it is missing, `use middle as _;` to shop/src/main.rs and `use billing as _;` to \
         middle/src/lib.rs"
    );
    let check = |expected: &[&str]| {
        let code = i32::from(!expected.is_empty());
        let expected: Vec<_> = expected
            .iter()
            .map(|message| error(message, &BILLING_PLACES))
            .collect();
        assert_eq!(
            project
                .underlay(&["check", "-p", "shop", "--json"])
                .problems(code),
            expected
        );
    };
    check(&[&both]);
    project.write("shop/src/main.rs", "use middle as _;\nfn main() {}\n");
    check(&[&both]);
    project.write("middle/src/lib.rs", "use billing as _;\n");
    check(&[]);
    // A crate in the middle that is seen to be linked needs no line.
    project.write(
        "middle/Cargo.toml",
        &manifest("middle", &["underlay", "billing"]),
    );
    project.write("middle/src/lib.rs", "underlay::bucket!(\"middle\");\n");
    check(&[&format!(
        "{start}add `use billing as _;` to middle/src/lib.rs"
    )]);
}

#[test]
fn under_link_time_optimisation() {
    let project = workspace(
        "bitcode",
        "[profile.release]\nlto = 'fat'\nstrip = true\n",
        &[
            ("billing", &["underlay"], &[("src/lib.rs", BILLING)]),
            (
                "audit",
                &["underlay"],
                &[("src/lib.rs", "underlay::bucket!(\"audit\");\n")],
            ),
            ("plain", &[], &[("src/lib.rs", "pub fn plain() {}\n")]),
            (
                "shop",
                &["underlay", "billing", "audit", "plain"],
                &[("src/main.rs", "use audit as _;\nfn main() {}\n")],
            ),
        ],
    );
    let message = "crate `billing` declares 2 resources (first at billing/src/lib.rs:2:5) but is not linked into \
                   `shop`; add `use billing as _;` to shop/src/main.rs";
    let outcome = project.underlay(&["build", "--json"]);
    assert_eq!(outcome.problems(1), [error(message, &BILLING_PLACES)]);
    let note = "note: link-time optimisation leaves bitcode in the libraries, so what `billing` may declare is read \
                from a dev build\n";
    assert!(outcome.stderr.contains(note), "{}", outcome.stderr);
    project.write(
        "shop/src/main.rs",
        "use audit as _;\nuse billing as _;\nfn main() {}\n",
    );
    let outcome = project.underlay(&["build", "--json"]);
    assert_eq!(outcome.json(0)["problems"], json!([]));
    assert!(!outcome.stderr.contains("note: "), "{}", outcome.stderr);
    assert_eq!(
        names(&project.underlay(&["model", "--release"]).json(0)),
        ["audit", "invoices", "receipts"]
    );
}

#[test]
fn a_member_that_no_binary_needs_is_a_warning() {
    let project = workspace(
        "unused",
        "",
        &[
            ("billing", &["underlay"], &[("src/lib.rs", BILLING)]),
            ("silent", &["underlay"], &[("src/lib.rs", "")]),
            (
                "shop",
                &["underlay"],
                &[(
                    "src/main.rs",
                    "underlay::bucket!(\"uploads\");\nfn main() {}\n",
                )],
            ),
        ],
    );
    let message = "crate `billing` declares 2 resources (first at billing/src/lib.rs:2:5) but no binary of the \
                   workspace depends on it; add it to the dependencies of one, or remove it";
    let mut expected = error(message, &BILLING_PLACES);
    expected.0 = "warning".to_owned();
    assert_eq!(
        project.underlay(&["check", "--json"]).problems(0),
        [expected]
    );
}

#[test]
fn all_problems_of_all_binaries_at_once() {
    let project = workspace(
        "all-problems",
        "",
        &[
            ("billing", &["underlay"], &[("src/lib.rs", BILLING)]),
            (
                "hello",
                &["underlay"],
                &[(
                    "src/main.rs",
                    "underlay::bucket!(\"a\");\nunderlay::bucket!(\"a\");\nfn main() {}",
                )],
            ),
            (
                "shop",
                &["underlay", "billing"],
                &[("src/main.rs", "underlay::bucket!(\"b\");\nfn main() {}\n")],
            ),
            ("tool", &[], &[("src/main.rs", "fn main() {}\n")]),
        ],
    );
    let problems = project.underlay(&["check", "--json"]).problems(1);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert_eq!(
        problems[0].2,
        ["hello/src/main.rs:1:1", "hello/src/main.rs:2:1"],
        "{problems:?}"
    );
    assert!(
        problems[1]
            .1
            .starts_with("crate `billing` declares 2 resources"),
        "{problems:?}"
    );
    assert_eq!(
        project
            .underlay(&["check", "-p", "hello", "--json"])
            .problems(1),
        problems[..1]
    );
    assert_eq!(
        project
            .underlay_in("hello/src", &["check", "--json"])
            .problems(1),
        problems[..1]
    );

    let several = "the workspace has several binaries that can be meant; name one with `-p` or `--bin`: `hello` \
                   (package `hello`), `shop` (package `shop`)";
    assert_eq!(
        project.underlay(&["model", "--json"]).problems(2),
        [error(several, &[])]
    );
    assert_eq!(
        names(&project.underlay(&["model", "--bin", "shop"]).json(0)),
        ["b"]
    );
    assert_eq!(
        names(&project.underlay_in("shop", &["model"]).json(0)),
        ["b"]
    );
    let known = "the workspace has `hello`, `shop`, `tool`";
    for (arguments, message) in [
        (
            ["--bin", "shp"],
            format!("there is no binary `shp`; {known}"),
        ),
        (
            ["-p", "billing"],
            format!("package `billing` has no binary; {known}"),
        ),
        (
            ["-p", "bill"],
            "the workspace has no package `bill`; it has `all`".to_owned(),
        ),
    ] {
        let arguments = [&["model", "--json"], &arguments[..]].concat();
        let problems = project.underlay(&arguments).problems(2);
        let start = message.trim_end_matches(" it has `all`");
        assert!(
            problems.len() == 1 && problems[0].1.starts_with(start),
            "{problems:?}"
        );
    }
}

#[test]
fn what_is_no_model_is_said() {
    let project = workspace(
        "no-model",
        "",
        &[
            (
                "damaged",
                &["underlay"],
                &[(
                    "src/main.rs",
                    "underlay::declare!(\"{nonsense\");\nfn main() {}\n",
                )],
            ),
            ("plain", &[], &[("src/main.rs", "fn main() {}\n")]),
            (
                "broken",
                &["underlay"],
                &[("src/main.rs", "fn main() { 1 }\n")],
            ),
        ],
    );
    let messages = |arguments: &[&str], code| {
        let outcome = project.underlay(arguments);
        let messages: Vec<_> = outcome.problems(code).into_iter().map(|it| it.1).collect();
        (messages, outcome.stderr)
    };
    let (found, _) = messages(&["model", "-p", "damaged", "--json"], 1);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("the fragment at offset 0 cannot be decoded"),
        "{found:?}"
    );
    let (found, _) = messages(&["model", "-p", "plain", "--json"], 1);
    assert!(found[0].ends_with(
        "plain declares nothing: it has no section `.undrlay`, so no crate with an Underlay declaration is linked into \
         it"
    ));
    let (found, cargo) = messages(&["model", "-p", "broken", "--json"], 1);
    assert_eq!(found, ["cargo build failed; its messages stand above"]);
    assert!(cargo.contains("error[E0308]: mismatched types"), "{cargo}");

    let mut elsewhere = command();
    elsewhere
        .args(["model", "--binary", "src/cli.rs", "--json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let found = Outcome::of(elsewhere).problems(1);
    assert_eq!(
        found[0].1,
        "cannot read src/cli.rs: No such file or directory"
    );
    let mut elsewhere = command();
    elsewhere.args(["check", "--json"]).current_dir("/");
    let found = Outcome::of(elsewhere).problems(1);
    assert!(
        found[0].1.starts_with("could not find `Cargo.toml` in `/`"),
        "{found:?}"
    );
}

#[test]
fn usage() {
    for arguments in [
        &["modle"][..],
        &["model", "--binary"],
        &["model", "--binary", "x", "-p", "y"],
        &[],
    ] {
        let mut command = command();
        command.args(arguments);
        assert_eq!(Outcome::of(command).code, Some(2), "{arguments:?}");
    }
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["underlay", "check", "--help"],
    ] {
        let mut command = command();
        command.args(arguments);
        assert_eq!(Outcome::of(command).code, Some(0), "{arguments:?}");
    }
}
