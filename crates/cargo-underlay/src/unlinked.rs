//! Declarations that are compiled but not in the binary.
//!
//! A crate that no code names is not linked, though Cargo.toml lists it, and its declarations are silently lost. The
//! same happens to a package's `lib.rs` that its `main.rs` does not name. This file compares what the libraries
//! declare with what the binary does; it does not know how either was read.

use std::collections::HashSet;

use cargo_metadata::Package;
use underlay_model::{Declaration, Problem, Source};

use crate::workspace::{Binary, Dependency, Workspace, library};

/// A library that the binary's package needs, and what it declares.
pub(crate) struct Library<'a> {
    pub(crate) dependency: Dependency<'a>,
    pub(crate) declarations: Vec<Declaration>,
}

/// One error per library that declares something of which nothing is in the binary, with the lines that link it.
pub(crate) fn problems(
    workspace: &Workspace,
    binary: Binary<'_>,
    declared: &[Declaration],
    libraries: &[Library<'_>],
) -> Vec<Problem> {
    let declared: HashSet<&Source> = declared.iter().filter_map(Declaration::source).collect();
    let is_seen = |package: &Package| {
        libraries
            .iter()
            .filter(|it| it.dependency.package.id == package.id)
            .any(|it| {
                it.declarations
                    .iter()
                    .filter_map(Declaration::source)
                    .any(|it| declared.contains(it))
            })
    };
    let mut problems = Vec::new();
    for Library {
        dependency,
        declarations,
    } in libraries
    {
        let own = dependency.package.id == binary.package.id;
        let lost: Vec<_> = declarations
            .iter()
            .filter(|it| it.source().is_some_and(|it| !declared.contains(it)))
            .collect();
        // A part can be missing where it was compiled a second time with other features, for a build script; but not
        // in the package's own library, some of whose files `main.rs` may include by `mod` instead.
        if lost.is_empty() || (!own && is_seen(dependency.package)) {
            continue;
        }
        let Some(what) = count(&lost) else { continue };
        let sources = places(&lost);
        let Some(first) = sources.first() else {
            continue;
        };
        let message = format!(
            "crate `{}` declares {what} (first at {first}) but is not linked into `{}`; {}",
            dependency.target.name.replace('-', "_"),
            binary.target.name,
            remedy(workspace, binary, dependency, is_seen)
        );
        problems.push(Problem::error(message, sources));
    }
    problems
}

/// A warning for a library that declares something and that no binary's package needs.
pub(crate) fn unused(crate_name: &str, declarations: &[Declaration]) -> Option<Problem> {
    let declarations: Vec<_> = declarations.iter().collect();
    let what = count(&declarations)?;
    let sources = places(&declarations);
    let message = format!(
        "crate `{}` declares {what} (first at {}) but no binary of the workspace depends on it; add it to the \
         dependencies of one, or remove it",
        crate_name.replace('-', "_"),
        sources.first()?
    );
    Some(Problem::warning(message, sources))
}

/// The lines to add. Only the way from the last crate that is certainly linked is told; for a crate further away
/// nobody can see which of the lines are there already.
fn remedy(
    workspace: &Workspace,
    binary: Binary<'_>,
    dependency: &Dependency<'_>,
    is_seen: impl Fn(&Package) -> bool,
) -> String {
    let path = &dependency.path;
    let linked = path
        .iter()
        .rposition(|step| step.to.id != binary.package.id && is_seen(step.to));
    let missing = &path[linked.map_or(0, |it| it + 1)..];
    let lines: Vec<_> = missing
        .iter()
        .map(|step| {
            let target = match library(step.from) {
                Some(target) if step.from.id != binary.package.id => target,
                _ => binary.target,
            };
            format!(
                "`use {} as _;` to {}",
                step.crate_name,
                workspace.file(target)
            )
        })
        .collect();
    match lines.as_slice() {
        [line] => format!("add {line}"),
        lines => format!("add, where it is missing, {}", lines.join(" and ")),
    }
}

/// `3 resources and 1 endpoint`; nothing if nothing would be lost.
fn count(declarations: &[&Declaration]) -> Option<String> {
    let counted = |number: usize, noun: &str| match number {
        0 => None,
        1 => Some(format!("1 {noun}")),
        _ => Some(format!("{number} {noun}s")),
    };
    let resources = declarations.iter().filter(|it| is_resource(it)).count();
    let endpoints = declarations
        .iter()
        .filter(|it| matches!(it, Declaration::Endpoint(_)))
        .count();
    let parts: Vec<_> = [
        counted(resources, "resource"),
        counted(endpoints, "endpoint"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() {
        None
    } else {
        Some(parts.join(" and "))
    }
}

fn is_resource(declaration: &Declaration) -> bool {
    !matches!(
        declaration,
        Declaration::Application(_) | Declaration::Service(_) | Declaration::Endpoint(_)
    )
}

/// Where the declarations that count stand, sorted.
fn places(declarations: &[&Declaration]) -> Vec<Source> {
    let counted = declarations
        .iter()
        .filter(|it| !matches!(it, Declaration::Service(_)));
    let mut sources: Vec<_> = counted.filter_map(|it| it.source().cloned()).collect();
    sources.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
    sources
}
