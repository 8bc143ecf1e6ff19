//! `cargo underlay build`: a release build whose model is checked and lies beside it.

use std::{fs, io, process::ExitCode};

use crate::{
    arguments::{CargoArguments, Selection},
    command::check::has_errors,
    compile::Profile,
    examination::Examination,
    failure::Failure,
    file::{self, Access},
    output::{Output, entries, pretty},
    workspace::Workspace,
};

/// Build a binary with the release profile, check what it declares, and write that to target/underlay/model.json.
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
    let binary = workspace.binary(selection)?;
    let folder = workspace.target_directory().join("underlay");
    let file = folder.join("model.json");
    let examination = Examination::of(
        &workspace,
        binary,
        Profile::Release,
        &arguments.cargo.cargo,
        output,
    )?;
    if has_errors(&examination.problems) {
        // The file of an earlier build would not be that of this binary.
        return match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Failure::io("remove", &file, &error))
            }
            _ => Err(Failure::in_source(examination.problems, workspace.root())),
        };
    }
    fs::create_dir_all(&folder).map_err(|error| Failure::io("create", &folder, &error))?;
    file::write(&file, &pretty(&examination.model), Access::Everybody)?;
    if output.is_json() {
        output.document(&serde_json::json!({
            "binary": examination.executable,
            "model": file,
            "problems": entries(&examination.problems),
        }));
    } else {
        output.problems(&examination.problems, &workspace.root());
        output.line(format_args!("binary {}", examination.executable.display()));
        output.line(format_args!("model  {}", file.display()));
    }
    Ok(ExitCode::SUCCESS)
}
