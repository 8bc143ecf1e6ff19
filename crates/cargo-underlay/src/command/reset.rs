//! `cargo underlay reset`: takes local data away, so that the next start begins afresh.

use std::process::ExitCode;

use underlay_local::{Removed, namespace};

use crate::{
    arguments::CheckoutArguments, command::down::tell, confirm::confirm, failure::Failure,
    output::Output, session::block_on,
};

/// Take away the local data of namespaces: databases, messages, objects. The next start begins afresh.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The namespaces, instead of the active one.
    names: Vec<String>,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    checkout: CheckoutArguments,
}

pub(crate) fn run(arguments: Arguments, output: &Output) -> Result<ExitCode, Failure> {
    let checkout = arguments.checkout.find()?;
    let names = match arguments.names.as_slice() {
        [] => vec![namespace::active(&checkout, None)?],
        names => names.to_vec(),
    };
    let listed: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    let what = if names.len() == 1 {
        "namespace"
    } else {
        "namespaces"
    };
    let (listed, root) = (listed.join(", "), checkout.root.display());
    confirm(
        &format!("All data of the {what} {listed} of {root} will be lost: go on?"),
        arguments.yes,
    )?;
    let mut all = Removed::default();
    let mut problems = Vec::new();
    for name in &names {
        match block_on(async { Ok(underlay_local::reset(&checkout, name).await?) }) {
            Ok(Removed { removed, kept }) => {
                all.removed.extend(removed);
                all.kept.extend(kept);
            }
            Err(failure) => problems.extend(failure.problems),
        }
    }
    if problems.is_empty() {
        tell(&all, "there was nothing", output);
        return Ok(ExitCode::SUCCESS);
    }
    // What is gone is gone, and is said; with `--json` the problems are the document.
    if !output.is_json() && !all.removed.is_empty() {
        tell(&all, "", output);
    }
    Err(Failure::problems(problems))
}
