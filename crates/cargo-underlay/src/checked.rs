//! Which packages have queries that sqlx checks while compiling, and against which database. Runs nothing.

use std::{
    fs,
    path::{Path, PathBuf},
    str::FromStr as _,
};

use cargo_metadata::Package;
use proc_macro2::{TokenStream, TokenTree};
use serde::Deserialize;

use crate::{
    declared::{Databases, Declared, url_variable},
    failure::Failure,
    workspace::Workspace,
};

/// sqlx's macros that ask the database; each also with `_unchecked`, which checks less.
const MACROS: [&str; 6] = [
    "query",
    "query_as",
    "query_scalar",
    "query_file",
    "query_file_as",
    "query_file_scalar",
];

/// A package with checked queries, and their database.
pub(crate) struct Checked<'a> {
    pub(crate) package: &'a Package,
    pub(crate) folder: PathBuf,
    pub(crate) database: &'a Declared,
    /// The variable in which sqlx looks for the URL.
    pub(crate) variable: String,
}

/// What sqlx reads from a package's `sqlx.toml`, as far as it counts here.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Config {
    common: Common,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Common {
    database_url_var: Option<String>,
}

/// The packages that are meant and have checked queries.
///
/// # Errors
///
/// Every package of which nobody can tell which database its queries are for.
pub(crate) fn find<'a>(
    workspace: &'a Workspace,
    packages: &[&'a Package],
    databases: &'a Databases,
) -> Result<Vec<Checked<'a>>, Failure> {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for &package in packages {
        let Some(folder) = package.manifest_path.parent() else {
            continue;
        };
        let folder: PathBuf = folder.into();
        if !queries(&folder) {
            continue;
        }
        match database(workspace, package, &folder, databases) {
            Ok((database, variable)) => found.push(Checked {
                package,
                folder,
                database,
                variable,
            }),
            Err(failure) => problems.extend(failure.problems),
        }
    }
    if problems.is_empty() {
        Ok(found)
    } else {
        Err(Failure::problems(problems))
    }
}

/// The database of a package's queries: what its `sqlx.toml` says; else the one that it declares, or, if it declares
/// none, that the members which it needs do, or the workspace.
fn database<'a>(
    workspace: &Workspace,
    package: &Package,
    folder: &Path,
    databases: &'a Databases,
) -> Result<(&'a Declared, String), Failure> {
    let name = &package.name;
    let path = folder.join("sqlx.toml");
    let config: Config = match fs::read_to_string(&path) {
        Ok(text) => basic_toml::from_str(&text).map_err(|error| {
            Failure::error(format!("{} cannot be read: {error}", path.display()))
        })?,
        Err(_) => Config::default(),
    };
    let variable = config.common.database_url_var;
    let of_variable = databases
        .all
        .iter()
        .find(|it| variable.as_ref() == Some(&url_variable(&it.name)));
    if let (Some(declared), Some(variable)) = (of_variable, &variable) {
        return Ok((declared, variable.clone()));
    }
    let variable = variable.unwrap_or_else(|| "DATABASE_URL".to_owned());
    let of = |names: &[&str]| -> Vec<&'a Declared> {
        let is_theirs = |it: &&Declared| names.contains(&it.source.package.as_str());
        databases.all.iter().filter(is_theirs).collect()
    };
    let needed = workspace.libraries(package);
    let needed: Vec<&str> = needed.iter().map(|it| it.package.name.as_str()).collect();
    let candidates = [
        of(&[name.as_str()]),
        of(&needed),
        databases.all.iter().collect(),
    ]
    .into_iter()
    .find(|it| !it.is_empty())
    .unwrap_or_default();
    match candidates.as_slice() {
        [] => Err(Failure::error(format!(
            "package `{name}` has queries that sqlx checks, and no database is declared"
        ))),
        [one] => Ok((one, variable)),
        several => {
            let names: Vec<_> = several.iter().map(|it| format!("`{}`", it.name)).collect();
            Err(Failure::error(format!(
                "package `{name}` has queries that sqlx checks, and several databases that they may be for: {}; move what \
                 belongs to each into a package of its own, or say which one it is in {}: \
                 [common] database-url-var = \"{}\"",
                names.join(", "),
                path.display(),
                url_variable(&several[0].name)
            )))
        }
    }
}

/// Whether a package's source calls one of sqlx's macros.
fn queries(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else {
        return false;
    };
    entries.flatten().map(|it| it.path()).any(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            let is_other = name.starts_with('.') || name == "target";
            !is_other && !path.join("Cargo.toml").exists() && queries(&path)
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&path).unwrap_or_default();
            // Tokens, not syntax: a call may stand inside another macro's.
            TokenStream::from_str(&text).is_ok_and(calls)
        } else {
            false
        }
    })
}

fn calls(tokens: TokenStream) -> bool {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    tokens.windows(3).any(|it| match it {
        [
            TokenTree::Ident(name),
            TokenTree::Punct(bang),
            TokenTree::Group(_),
        ] if bang.as_char() == '!' => {
            let name = name.to_string();
            MACROS.contains(&name.strip_suffix("_unchecked").unwrap_or(&name))
        }
        _ => false,
    }) || tokens.into_iter().any(|it| match it {
        TokenTree::Group(group) => calls(group.stream()),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_the_macros() {
        for (text, expected) in [
            ("fn f() { sqlx::query!(\"SELECT 1\") }", true),
            (
                "fn f() { assert!(query_as_unchecked!(A, \"SELECT 1\").ok()) }",
                true,
            ),
            ("fn f() { sqlx::query_file_scalar!(\"a.sql\") }", true),
            (
                "/// `query!(\"SELECT 1\")`\nfn f() { sqlx::query(\"query!()\") }",
                false,
            ),
            ("fn f() { my_query!(\"SELECT 1\"); query != (1) }", false),
        ] {
            assert_eq!(calls(text.parse().unwrap()), expected, "{text}");
        }
    }
}
