//! `cargo underlay ps`: which servers of ours there are, and for which checkout.

use std::process::ExitCode;

use underlay_local::{Checkout, Kind, ServerStatus};

use crate::{
    arguments::CheckoutArguments, failure::Failure, output::Output, session::block_on, table::table,
};

/// List the local servers of all checkouts; `*` marks those of this one.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Those of this checkout only.
    #[arg(long)]
    here: bool,
    #[command(flatten)]
    checkout: CheckoutArguments,
}

pub(crate) fn run(arguments: Arguments, output: &Output) -> Result<ExitCode, Failure> {
    let checkout = arguments.checkout.find()?;
    let processes =
        block_on(async { Ok(underlay_local::ps(arguments.here.then_some(&checkout)).await?) })?;
    if output.is_json() {
        output.document(&processes);
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(reason) = &processes.docker_unreachable {
        output.note(&format!("Docker was not asked: {reason}"));
    }
    if processes.servers.is_empty() {
        output.line("no servers");
    } else {
        let heading = [
            "",
            "APPLICATION",
            "NAMESPACE",
            "FOR",
            "HOW",
            "STATE",
            "ADDRESS",
            "NAME",
            "CHECKOUT",
        ];
        let rows = processes
            .servers
            .iter()
            .map(|server| row(server, &checkout))
            .collect::<Vec<_>>();
        output.text(&table(heading, &rows));
    }
    Ok(ExitCode::SUCCESS)
}

fn row(server: &ServerStatus, checkout: &Checkout) -> [String; 9] {
    let state = match (server.is_running, server.status.as_str()) {
        (true, "") => "running",
        (false, "") => "stopped",
        (_, status) => status,
    };
    [
        if server.checkout == checkout.id {
            "*"
        } else {
            ""
        }
        .to_owned(),
        server.application.clone(),
        server.namespace.clone(),
        match server.kind {
            Kind::Run => "run",
            Kind::Test => "test",
        }
        .to_owned(),
        server.rung.to_string(),
        state.to_owned(),
        server.address.clone().unwrap_or_else(|| "-".to_owned()),
        server.name.clone(),
        server.root.display().to_string(),
    ]
}
