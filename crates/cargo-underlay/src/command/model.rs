//! `cargo underlay model`: what a binary declares, read from its file.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

use underlay_model::Model;

use crate::{
    arguments::{CargoArguments, Selection},
    binary::{self, Content},
    compile::{Compilation, Profile},
    examination::{bitcode_executable, fallback},
    failure::Failure,
    file::{self, Access},
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
    #[command(flatten)]
    cargo: CargoArguments,
}

pub(crate) fn run(arguments: Arguments, output: &Output) -> Result<ExitCode, Failure> {
    let path = match arguments.binary {
        Some(path) => path,
        None => build(
            &Workspace::load(&arguments.selection)?,
            &arguments.selection,
            arguments.release,
            &arguments.cargo.cargo,
        )?,
    };
    let model = read(&path)?;
    match &arguments.output {
        Some(file) => file::write(file, &pretty(&model), Access::Everybody)?,
        None => output.document(&model),
    }
    if let (Some(file), true) = (&arguments.output, output.is_json()) {
        output.document(&serde_json::json!({ "model": file, "binary": path }));
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds the binary that is meant, and says where it is.
///
/// # Errors
///
/// When no single binary is meant, or it cannot be built.
pub(crate) fn build(
    workspace: &Workspace,
    selection: &Selection,
    release: bool,
    cargo: &[OsString],
) -> Result<PathBuf, Failure> {
    let binary = workspace.binary(selection)?;
    let profile = if release {
        Profile::Release
    } else {
        Profile::Dev
    };
    Compilation::binary(workspace, binary, profile, cargo)?.executable(binary)
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
