//! What is read from the source, without a server: `new` needs none.

use crate::project::{Project, SHOP};

const PACKAGE: &str =
    "[package]\nname = 'shop'\nversion = '0.1.0'\nedition = '2024'\n[workspace]\n";

/// The files that `new` makes in each database say which databases were found.
pub(crate) fn what_the_source_declares() {
    let project = Project::new(
        "declared",
        &[
            ("Cargo.toml", PACKAGE),
            (
                "src/main.rs",
                "mod a;\nmod inline { mod deep; }\n#[path = \"odd/place.rs\"]\nmod elsewhere;\n\
                 #[cfg(test)] mod tests;\n#[cfg(all(test, unix))] mod more { #[database(\"no_test\")] static A: Database; }\n\
                 #[cfg(windows)] mod absent;\nfn main() {\n",
            ),
            (
                "src/a/mod.rs",
                "mod b;\n/// Two.\n#[underlay::database]\npub(crate) static ORDER_ITEMS: Database;",
            ),
            (
                "src/a/b.rs",
                "#[database(\"b\", migrations = \"x/../b\",)] pub static B: Database;",
            ),
            (
                "src/inline/deep.rs",
                "#[underlay::prelude::database(migrations = \"m\")] static DEEP: Database;",
            ),
            (
                "src/odd/place.rs",
                "mod beside;\n#[database(named = \"elsewhere\")] static NOT_OURS: Database;",
            ),
            (
                "src/odd/beside.rs",
                "#[other::database(\"other\")] static C: Database; #[database(\"d\")] static D: Database;",
            ),
            (
                "src/tests.rs",
                "#[database(\"ghost\")] static GHOST: Database;",
            ),
            (
                "src/unused.rs",
                "#[database(\"unused\")] static UNUSED: Database;",
            ),
        ],
    );
    // `main.rs` is no Rust: its modules are not seen, and that is said.
    let outcome = project.db(&["new", "add"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    for part in [
        "warning: databases that are declared in this file are not seen: ",
        "src/main.rs:8:11",
        "error: no database is declared: ",
    ] {
        assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
    }
    let main = std::fs::read_to_string(project.root.join("src/main.rs")).unwrap();
    project.write("src/main.rs", &format!("{main} nothing() }}\n"));
    assert_eq!(
        project.refused(2, &["new", "add"]),
        ["several databases are declared; name one of `b`, `d`, `deep`, `order-items`"]
    );
    assert_eq!(project.done(&["new", "deep", "add"]), "m/0001_add.up.sql\n");
    assert_eq!(project.done(&["new", "b", "add"]), "b/0001_add.up.sql\n");
    assert_eq!(
        project.refused(2, &["uri", "order_items"]),
        [
            "no database `order_items` is declared, but `b`, `d`, `deep`, `order-items`; did you mean `order-items`?"
        ]
    );
}

pub(crate) fn what_is_wrong_is_said_with_its_place() {
    let project = Project::new(
        "wrong",
        &[
            (
                "Cargo.toml",
                "[workspace]\nmembers = ['shop', 'tool', 'store']\nresolver = '3'\n",
            ),
            (
                "shop/Cargo.toml",
                "[package]\nname = 'shop'\nversion = '0.1.0'\nedition = '2024'\n[dependencies]\n\
                 store = { path = '../store' }\n",
            ),
            (
                "shop/src/main.rs",
                "#[database(\"orders\")]\nstatic ORDERS: Database;\n#[database(\"Or ders\")]\nstatic B: Database;\n\
                 #[database(\"c\", migrations = DIR)]\nstatic C: Database;\nfn main() {}\n",
            ),
            (
                "tool/Cargo.toml",
                "[package]\nname = 'tool'\nversion = '0.1.0'\nedition = '2024'\n",
            ),
            (
                "tool/src/main.rs",
                "#[cfg(unix)]\n#[database(\"tool\")]\nstatic A: Database;\n#[cfg(windows)]\n#[database(\"tool\")]\n\
                 static A: Database;\nfn main() {}\n",
            ),
            (
                "store/Cargo.toml",
                "[package]\nname = 'store'\nversion = '0.1.0'\nedition = '2024'\n",
            ),
            (
                "store/src/lib.rs",
                "mod inner {\n    #[database(\"orders\")]\n    static ORDERS: Database;\n}\n",
            ),
        ],
    );
    let outcome = project.db(&["status", "--json"]).json(1);
    let problems: Vec<_> = outcome
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            let sources = it["sources"].as_array().unwrap().iter();
            let place = |it: &serde_json::Value| {
                format!(
                    "{}:{}:{}",
                    it["file"].as_str().unwrap(),
                    it["line"],
                    it["column"]
                )
            };
            (
                it["message"].as_str().unwrap(),
                sources.map(place).collect::<Vec<_>>(),
            )
        })
        .collect();
    let expected = [
        (
            "`Or ders` is not kebab-case or snake_case: `O` is neither a lower-case letter, a digit, `-` nor `_`; try `or-ders`",
            vec!["shop/src/main.rs:4:8".to_owned()],
        ),
        (
            "the options of `#[database]` cannot be read: `migrations` is a text, such as `migrations = \"migrations\"`",
            vec!["shop/src/main.rs:6:8".to_owned()],
        ),
        (
            "several databases are named `orders`; rename one, or name the application that is meant with `-p`, or write \
             `named` where another package's database is meant",
            vec![
                "shop/src/main.rs:2:8".to_owned(),
                "store/src/lib.rs:3:12".to_owned(),
            ],
        ),
    ];
    assert_eq!(problems, expected);
    assert_eq!(
        project.refused(1, &["new", "-p", "tool", "add"]),
        [
            "the database `tool` has no migrations; write `#[database(\"tool\", migrations = \"migrations\")]`, which names a \
             folder beside the package's Cargo.toml"
        ]
    );
}

/// Two applications of one package have databases of their own.
pub(crate) fn the_binary_that_is_meant() {
    let declared = |folder: &str| {
        format!(
            "#[database(\"x\", migrations = \"{folder}\")]\nstatic X: Database;\nfn main() {{}}\n"
        )
    };
    let project = Project::new(
        "binaries",
        &[
            ("Cargo.toml", PACKAGE),
            ("src/bin/a.rs", &declared("a")),
            ("src/bin/b.rs", &declared("b")),
        ],
    );
    let several = project.refused(1, &["new", "add"]);
    assert!(
        several[0].starts_with("several databases are named `x`;"),
        "{several:?}"
    );
    assert_eq!(
        project.done(&["new", "--bin", "b", "add"]),
        "b/0001_add.up.sql\n"
    );
    assert_eq!(
        project.refused(2, &["new", "--bin", "c", "add"]),
        ["there is no binary `c`; the workspace has `a`, `b`"]
    );
}

pub(crate) fn new_migrations() {
    let project = Project::new("new", &SHOP);
    let read = |path: &str| std::fs::read_to_string(project.root.join(path)).unwrap();
    assert_eq!(
        project.done(&["new", "Add e-mail index", "--down"]),
        "migrations/3_add_e_mail_index.up.sql\nmigrations/3_add_e_mail_index.down.sql\n"
    );
    assert_eq!(
        read("migrations/3_add_e_mail_index.up.sql"),
        "-- Add e-mail index\n"
    );
    assert_eq!(
        read("migrations/3_add_e_mail_index.down.sql"),
        "-- Takes back: Add e-mail index\n"
    );
    let made = project.db(&["new", "orders", "again", "--json"]).json(0);
    let path = project
        .root
        .canonicalize()
        .unwrap()
        .join("migrations/4_again.up.sql");
    assert_eq!(made["files"], serde_json::json!([path]));
    assert_eq!(
        project.refused(2, &["new", "orders"]),
        [
            "what does the migration of `orders` do? Write it after the name, as in `cargo underlay db new orders \"add \
             email index\"`"
        ]
    );
    project.write("migrations/20250101000000_moment.up.sql", "");
    let path = project.done(&["new", "next"]);
    let number: i64 = path["migrations/".len()..][..14].parse().unwrap();
    assert!(number > 20_250_101_000_000, "{path}");
}
