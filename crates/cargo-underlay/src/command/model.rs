//! `cargo underlay model`: what a binary declares, read from its file.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use underlay_model::Model;

use crate::{
    arguments::Selection,
    binary::{self, Content},
    compile::{Compilation, Profile},
    examination::{bitcode_executable, fallback},
    failure::Failure,
    output::{Output, pretty},
    workspace::Workspace,
};

/// Print what a binary declares, as JSON. Nothing of the binary is run.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Read this file instead of building: an executable for any platform, as rustc has linked it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["package", "bin", "manifest_path", "release", "cargo"])]
    binary: Option<PathBuf>,
    /// Build with the release profile.
    #[arg(short, long)]
    release: bool,
    /// Write to this file instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    selection: Selection,
}

pub(crate) fn run(arguments: Arguments, output: &Output) -> Result<ExitCode, Failure> {
    let path = match arguments.binary {
        Some(path) => path,
        None => build(&arguments.selection, arguments.release)?,
    };
    let model = read(&path)?;
    match &arguments.output {
        Some(file) => write(file, &model)?,
        None => output.document(&model),
    }
    if let (Some(file), true) = (&arguments.output, output.is_json()) {
        output.document(&serde_json::json!({ "model": file, "binary": path }));
    }
    Ok(ExitCode::SUCCESS)
}

fn build(selection: &Selection, release: bool) -> Result<PathBuf, Failure> {
    let workspace = Workspace::load(selection)?;
    let binary = workspace.binary(selection)?;
    let profile = if release {
        Profile::Release
    } else {
        Profile::Dev
    };
    Compilation::binary(&workspace, binary, profile, &selection.cargo)?.executable(binary)
}

/// Reads the model of a binary that declares something.
///
/// # Errors
///
/// When the file cannot be read, or declares nothing.
pub(crate) fn read(path: &Path) -> Result<Model, Failure> {
    match binary::read(path)? {
        Content::Declarations(declarations) => Ok(Model::assemble(fallback(path), declarations)),
        Content::NoSection => Err(Failure::error(format!(
            "{} declares nothing: it has no section `{}`, so no crate with an Underlay declaration is linked into it",
            path.display(),
            underlay_model::fragment::SECTION
        ))),
        Content::Bitcode => Err(bitcode_executable(path)),
    }
}

/// Writes a model to a file, whole or not at all.
///
/// # Errors
///
/// When the file cannot be written.
pub(crate) fn write(path: &Path, model: &Model) -> Result<(), Failure> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = PathBuf::from(name);
    fs::write(&temporary, format!("{}\n", pretty(model)))
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(|error| {
            // It may not exist; the error that counts is the first.
            let _ = fs::remove_file(&temporary);
            Failure::io("write", path, &error)
        })
}
