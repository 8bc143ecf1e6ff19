//! `cargo underlay down`: stops local servers and keeps their data.

use std::process::ExitCode;

use underlay_local::{Removed, namespace};

use crate::{arguments::CheckoutArguments, failure::Failure, output::Output, session::block_on};

/// Stop the local servers of a namespace; its data is kept.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The namespace, instead of the active one.
    name: Option<String>,
    /// All namespaces of this checkout.
    #[arg(long, conflicts_with = "name")]
    all: bool,
    /// Even while an application is using them.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    checkout: CheckoutArguments,
}

pub(crate) fn run(arguments: Arguments, output: &Output) -> Result<ExitCode, Failure> {
    let checkout = arguments.checkout.find()?;
    let name = match (arguments.name, arguments.all) {
        (_, true) => None,
        (Some(name), false) => Some(name),
        (None, false) => Some(namespace::active(&checkout, None)?),
    };
    let removed = block_on(async {
        Ok(underlay_local::down(&checkout, name.as_deref(), arguments.force).await?)
    })?;
    tell(&removed, "nothing was running", output);
    Ok(ExitCode::SUCCESS)
}

/// Says what was taken away.
pub(crate) fn tell(removed: &Removed, nothing: &str, output: &Output) {
    if output.is_json() {
        output.document(removed);
        return;
    }
    for it in &removed.kept {
        output.note(&format!("left alone: {it}"));
    }
    for it in &removed.removed {
        output.line(format_args!("removed {it}"));
    }
    if removed.removed.is_empty() {
        output.line(nothing);
    }
}
