//! Checked queries, with a stand-in for sqlx that does what its macros do with files and variables, and compiles fast.

use std::{collections::BTreeMap, fs};

use crate::project::Project;

/// Writes the query and the database's name in the URL to a file named after the query.
const SQLX: &str = r#"
use proc_macro::{TokenStream, TokenTree};

#[proc_macro]
pub fn query(input: TokenStream) -> TokenStream {
    let Some(TokenTree::Literal(query)) = input.into_iter().next() else {
        return "compile_error!(\"no query\")".parse().unwrap();
    };
    let query = query.to_string();
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let manifest = variable("CARGO_MANIFEST_DIR");
    let own = if std::path::Path::new(&manifest).join("sqlx.toml").exists() {
        "AUDIT_DATABASE_URL"
    } else {
        "DATABASE_URL"
    };
    let url = variable(own);
    let name: String = query.chars().filter(|it| it.is_ascii_alphanumeric()).collect();
    let folder = if url.is_empty() { format!("{manifest}/.sqlx") } else { variable("SQLX_OFFLINE_DIR") };
    let path = format!("{folder}/query-{name}.json");
    if url.is_empty() {
        if !std::path::Path::new(&path).exists() {
            return format!("compile_error!(\"no data for {name}\")").parse().unwrap();
        }
    } else {
        let database = url.split(['?', '/']).nth(3).unwrap();
        std::fs::write(path, format!("{{\"query\": {query}, \"describe\": \"{database}\"}}\n")).unwrap();
    }
    TokenStream::new()
}
"#;

fn package(name: &str, dependencies: &[&str]) -> String {
    let mut text = format!(
        "[package]\nname = '{name}'\nversion = '0.1.0'\nedition = '2024'\n[dependencies]\n"
    );
    for dependency in dependencies {
        text.push_str(&format!("{dependency} = {{ path = '../{dependency}' }}\n"));
    }
    text
}

pub(crate) fn checked_queries() {
    let project = Project::new(
        "prepare",
        &[
            (
                "Cargo.toml",
                "[workspace]\nmembers = ['shop', 'store', 'sqlx']\nresolver = '3'\n",
            ),
            (
                "sqlx/Cargo.toml",
                &format!("{}[lib]\nproc-macro = true\n", package("sqlx", &[])),
            ),
            ("sqlx/src/lib.rs", SQLX),
            ("shop/Cargo.toml", &package("shop", &["store", "sqlx"])),
            (
                "shop/src/main.rs",
                "#[cfg(any())]\nmod a { #[database(\"orders\", migrations = \"m\")] static A: Database; }\n\
                 fn main() { sqlx::query!(\"SELECT 1\"); }\n",
            ),
            (
                "shop/tests/it.rs",
                "#[test]\nfn it() { sqlx::query!(\"SELECT 2\"); }\n",
            ),
            ("shop/m/1_a.up.sql", "CREATE TABLE a ();\n"),
            ("store/Cargo.toml", &package("store", &["sqlx"])),
            (
                "store/src/lib.rs",
                "#[cfg(any())]\nmod a { #[database(\"audit\")] static A: Database; }\n\
                 pub fn f() { sqlx::query!(\"SELECT 3\"); }\n",
            ),
        ],
    );
    let _proxy = project.proxy(&["orders"]);
    let files = |package: &str| -> BTreeMap<String, String> {
        let folder = project.root.join(package).join(".sqlx");
        let Ok(entries) = fs::read_dir(folder) else {
            return BTreeMap::new();
        };
        let read = |it: fs::DirEntry| {
            let name = it.file_name().into_string().unwrap();
            (name, fs::read_to_string(it.path()).unwrap())
        };
        entries.map(|it| read(it.unwrap())).collect()
    };
    let file = |number: u32, database: &str| {
        let text = format!("{{\"query\": \"SELECT {number}\", \"describe\": \"{database}\"}}\n");
        (format!("query-SELECT{number}.json"), text)
    };

    assert_eq!(
        project.done(&["prepare"]),
        "shop/.sqlx: 2 queries, 2 changed\nstore/.sqlx: 1 query, 1 changed\n"
    );
    // Each package's queries were asked of its own database, and the test's, too.
    assert_eq!(
        files("shop"),
        BTreeMap::from([file(1, "orders"), file(2, "orders")])
    );
    assert_eq!(files("store"), BTreeMap::from([file(3, "audit")]));
    // Nothing has changed, and all of it was expanded anew.
    assert_eq!(
        project.done(&["prepare", "--check"]),
        "shop/.sqlx: 2 queries, as they were\nstore/.sqlx: 1 query, as they were\n"
    );

    project.write("shop/tests/it.rs", "");
    project.write(
        "store/src/lib.rs",
        "#[cfg(any())]\nmod a { #[database(\"audit\")] static A: Database; }\n\
         pub fn f() { sqlx::query!(\"SELECT 3\"); sqlx::query!(\"SELECT 4\"); }\n",
    );
    project.write(
        "store/.sqlx/query-SELECT3.json",
        "{\"query\": \"SELECT 3\"}\n",
    );
    let mut stale = project.refused(1, &["prepare", "--check"]);
    let last = stale.pop().unwrap();
    assert!(last.contains("run `cargo underlay db prepare`"), "{last}");
    assert_eq!(
        stale,
        [
            "shop/.sqlx/query-SELECT2.json is for the query `SELECT 2`, which is there no more",
            "store/.sqlx/query-SELECT3.json says something else of the query `SELECT 3`",
            "store/.sqlx/query-SELECT4.json is missing, for the query `SELECT 4`",
        ]
    );
    assert_eq!(files("store").len(), 1);
    project.done(&["prepare", "audit"]);
    assert_eq!(
        files("store"),
        BTreeMap::from([file(3, "audit"), file(4, "audit")])
    );
    assert_eq!(files("shop").len(), 2);

    // A query that does not compile leaves everything as it was.
    project.write(
        "shop/src/main.rs",
        "#[cfg(any())]\nmod a { #[database(\"orders\")] static A: Database; #[database(\"audit-2\")] static B: Database; }\n\
         fn main() { sqlx::query!(nothing); }\n",
    );
    let several = project.refused(1, &["prepare"]);
    assert_eq!(several.len(), 1, "{several:?}");
    assert!(
        several[0].starts_with(
            "package `shop` has queries that sqlx checks, and several databases that they may be for: `audit-2`, `orders`;"
        ),
        "{several:?}"
    );
    project.write(
        "shop/sqlx.toml",
        "[common]\ndatabase-url-var = \"AUDIT_DATABASE_URL\"\n",
    );
    assert_eq!(
        project.refused(1, &["prepare"]),
        ["cargo check failed; its messages stand above, and no file was changed"]
    );
    assert_eq!(files("shop").len(), 2);
    project.write(
        "shop/src/main.rs",
        "#[cfg(any())]\nmod a { #[database(\"orders\")] static A: Database; #[database(\"audit-2\")] static B: Database; }\n\
         fn main() { sqlx::query!(\"SELECT 5\"); }\n",
    );
    project.done(&["prepare"]);
    assert_eq!(files("shop"), BTreeMap::from([file(5, "audit")]));
}
