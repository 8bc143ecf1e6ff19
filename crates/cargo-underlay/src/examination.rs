//! Builds a binary, reads what it declares, and finds what is wrong with that. `check` and `build` are this, each with
//! a result of its own.

use std::{ffi::OsString, path::PathBuf};

use underlay_model::{Declaration, Model, Problem, model::Application};

use crate::{
    binary::{self, Content},
    compile::{Compilation, Profile},
    failure::Failure,
    nested,
    output::Output,
    stale,
    unlinked::{self, Library},
    workspace::{Binary, Dependency, Workspace, names_underlay},
};

/// A binary and what is known of it.
pub(crate) struct Examination {
    pub(crate) executable: PathBuf,
    pub(crate) model: Model,
    /// Everything that is wrong, errors and warnings.
    pub(crate) problems: Vec<Problem>,
}

impl Examination {
    /// Builds and examines one binary.
    ///
    /// # Errors
    ///
    /// When it cannot be built or read; what is wrong with what it declares is in [`Self::problems`].
    pub(crate) fn of(
        workspace: &Workspace,
        binary: Binary<'_>,
        profile: Profile,
        cargo: &[OsString],
        output: &Output,
    ) -> Result<Self, Failure> {
        let compilation = Compilation::binary(workspace, binary, profile, cargo)?;
        let executable = compilation.executable(binary)?;
        let mut problems = Vec::new();
        let declarations = match binary::read(&executable)? {
            Content::Declarations(declarations) => declarations,
            Content::NoSection => Vec::new(),
            Content::Bitcode => return Err(bitcode_executable(&executable)),
        };
        let libraries = libraries(
            workspace,
            binary,
            &compilation,
            &declarations,
            cargo,
            output,
            &mut problems,
        )?;
        let unlinked = unlinked::problems(workspace, binary, &declarations, &libraries);
        // What is not linked says more than that nothing is declared.
        if declarations.is_empty() && unlinked.is_empty() {
            problems.push(Problem::warning(
                format!(
                    "`{}` declares nothing: no crate with a declaration is linked into it",
                    binary.target.name
                ),
                [],
            ));
        }
        let nested = nested::problems(&declarations, &workspace.root());
        let model = Model::assemble(fallback(&executable), declarations);
        let mut all = underlay_model::check::check(&model);
        all.extend(stale::problems(&model, &workspace.root()));
        all.extend(nested);
        all.extend(unlinked);
        all.extend(problems);
        Ok(Self {
            executable,
            model,
            problems: all,
        })
    }
}

/// The name of an application that does not say it: its executable's, as the running program says.
pub(crate) fn fallback(executable: &std::path::Path) -> Application {
    let name = executable.file_stem().unwrap_or(executable.as_os_str());
    Application {
        name: name.to_string_lossy().into_owned(),
        version: String::new(),
    }
}

/// An executable that holds bitcode only; no linker leaves one.
pub(crate) fn bitcode_executable(executable: &std::path::Path) -> Failure {
    let hint = "name the executable that the linker made of it";
    Failure::error(format!(
        "{} is LLVM bitcode, in which declarations cannot be read; {hint}",
        executable.display()
    ))
}

/// What the libraries that the binary's package needs declare, as far as can be known.
fn libraries<'a>(
    workspace: &'a Workspace,
    binary: Binary<'a>,
    compilation: &Compilation,
    declarations: &[Declaration],
    cargo: &[OsString],
    output: &Output,
    problems: &mut Vec<Problem>,
) -> Result<Vec<Library<'a>>, Failure> {
    let mut libraries = Vec::new();
    let mut unreadable = Vec::new();
    for dependency in workspace.libraries(binary.package) {
        match read(compilation, &dependency)? {
            Some(declarations) => libraries.push(Library {
                dependency,
                declarations,
            }),
            // A crate that cannot declare anything, or of which something is seen, need not be read.
            None if !names_underlay(dependency.package)
                || is_seen(declarations, binary, &dependency) => {}
            None => unreadable.push(dependency),
        }
    }
    if unreadable.is_empty() {
        return Ok(libraries);
    }
    let names: Vec<_> = unreadable
        .iter()
        .map(|it| format!("`{}`", it.package.name))
        .collect();
    output.note(&format!(
        "link-time optimisation leaves bitcode in the libraries, so what {} may declare is read from a dev build",
        names.join(", ")
    ));
    let readable = Compilation::dev(workspace, binary, cargo)?;
    for dependency in unreadable {
        match read(&readable, &dependency)? {
            Some(declarations) => libraries.push(Library { dependency, declarations }),
            None => problems.push(Problem::warning(
                format!(
                    "whether crate `{}` declares something that is not linked into `{}` was not checked: its library \
                     holds LLVM bitcode even in a dev build; turn `lto` off in `[profile.dev]` to have it checked",
                    dependency.target.name, binary.target.name
                ),
                [],
            )),
        }
    }
    Ok(libraries)
}

/// What a library declares; `None` if that cannot be read. A library that was not compiled declares nothing.
pub(crate) fn read(
    compilation: &Compilation,
    dependency: &Dependency<'_>,
) -> Result<Option<Vec<Declaration>>, Failure> {
    let mut all = Vec::new();
    for path in compilation.libraries(&dependency.package.id, dependency.target) {
        match binary::read(&path)? {
            Content::Declarations(declarations) => {
                for declaration in declarations {
                    if !all.contains(&declaration) {
                        all.push(declaration);
                    }
                }
            }
            Content::NoSection => {}
            Content::Bitcode => return Ok(None),
        }
    }
    Ok(Some(all))
}

/// Whether something of a library is certainly in the binary.
fn is_seen(declarations: &[Declaration], binary: Binary<'_>, dependency: &Dependency<'_>) -> bool {
    let crate_name = dependency.target.name.replace('-', "_");
    // A package's library and its binary usually have one name, and cannot be told apart by it.
    if dependency.package.id == binary.package.id
        && crate_name == binary.target.name.replace('-', "_")
    {
        return false;
    }
    declarations
        .iter()
        .filter_map(Declaration::source)
        .any(|source| {
            source.package == *dependency.package.name
                && source.module.split("::").next() == Some(&crate_name)
        })
}
