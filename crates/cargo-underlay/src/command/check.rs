//! `cargo underlay check`: everything that is wrong with what the workspace's binaries declare.

use std::{ffi::OsString, process::ExitCode};

use underlay_model::{Problem, Severity};

use crate::{
    arguments::{CargoArguments, Selection},
    binary::{self, Content},
    compile::{Compilation, Profile},
    examination::Examination,
    failure::Failure,
    output::Output,
    unlinked,
    workspace::Workspace,
};

/// Find everything that is wrong with what a binary declares; without -p or --bin, with what each of them does.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    cargo: CargoArguments,
}

pub(crate) fn run(arguments: Arguments, output: &Output) -> Result<ExitCode, Failure> {
    let selection = &arguments.selection;
    let workspace = Workspace::load(selection)?;
    let binaries = workspace.binaries(selection)?;
    let mut problems = Vec::new();
    for binary in &binaries {
        let examination = Examination::of(
            &workspace,
            *binary,
            Profile::Dev,
            &arguments.cargo.cargo,
            output,
        )?;
        for problem in examination.problems {
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
    }
    problems.extend(unused(&workspace, &arguments.cargo.cargo)?);
    if output.is_json() {
        output.problem_list(&problems);
    } else {
        output.problems(&problems, &workspace.root());
        let names: Vec<_> = binaries
            .iter()
            .map(|it| format!("`{}`", it.target.name))
            .collect();
        output.line(format_args!("{}: {}", names.join(", "), summary(&problems)));
    }
    Ok(if has_errors(&problems) {
        ExitCode::from(Failure::FAILED)
    } else {
        ExitCode::SUCCESS
    })
}

/// Warnings for the members that declare something in vain.
fn unused(workspace: &Workspace, cargo: &[OsString]) -> Result<Vec<Problem>, Failure> {
    let libraries = workspace.unused_libraries();
    if libraries.is_empty() {
        return Ok(Vec::new());
    }
    let packages: Vec<_> = libraries.iter().map(|it| it.package).collect();
    let compilation = Compilation::libraries_of(workspace, &packages, cargo)?;
    let mut problems = Vec::new();
    for library in libraries {
        for path in compilation.libraries(&library.package.id, library.target) {
            if let Content::Declarations(declarations) = binary::read(&path)? {
                problems.extend(unlinked::unused(&library.target.name, &declarations));
            }
        }
    }
    Ok(problems)
}

/// Whether one of the problems forbids a start.
pub(crate) fn has_errors(problems: &[Problem]) -> bool {
    problems.iter().any(|it| it.severity == Severity::Error)
}

/// `2 errors, 1 warning`.
fn summary(problems: &[Problem]) -> String {
    let errors = problems
        .iter()
        .filter(|it| it.severity == Severity::Error)
        .count();
    let counted = |number: usize, noun: &str| match number {
        0 => None,
        1 => Some(format!("1 {noun}")),
        _ => Some(format!("{number} {noun}s")),
    };
    let parts = [
        counted(errors, "error"),
        counted(problems.len() - errors, "warning"),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        "no problems".to_owned()
    } else {
        parts.join(", ")
    }
}
