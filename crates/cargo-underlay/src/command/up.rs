//! `cargo underlay up`: starts what a binary declares, without the binary.

use std::process::ExitCode;

use serde_json::json;

use crate::{
    arguments::Selection,
    failure::Failure,
    output::Output,
    session::{Session, Uncompiled, block_on},
    signal::Signals,
};

/// Start what a binary declares, apply the migrations, and print where everything is.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The infrastructure namespace, instead of the active one.
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    #[command(flatten)]
    selection: Selection,
}

pub(crate) fn run(arguments: Arguments, output: &Output) -> Result<ExitCode, Failure> {
    block_on(async {
        let session = Session::start(
            &arguments.selection,
            arguments.namespace,
            Uncompiled::Refuse,
            output,
        )
        .await?;
        if output.is_json() {
            output.document(&json!({
                "namespace": session.provisioned.namespace,
                "infra": session.infra,
                "postgres": session.provisioned.postgres,
                "databases": session.databases,
                "missing_secrets": session.provisioned.missing_secrets,
                "stops_with_this_process": session.holds_a_server(),
            }));
        }
        output.line(format_args!("namespace {}", session.provisioned.namespace));
        for it in &session.databases {
            let (name, host) = (&it.name, &it.host);
            output.line(format_args!(
                "database  {name}: database `{}` as user `{}` at {host}",
                it.database, it.user
            ));
        }
        output.line(format_args!("infra     {}", session.infra.display()));
        if session.holds_a_server() {
            output.note(
                "the PostgreSQL server stops with this process, unless another one uses it then; end it with Ctrl-C",
            );
            let signals = Signals::receive();
            let mut signals = signals
                .map_err(|error| Failure::error(format!("cannot wait for Ctrl-C: {error}")))?;
            signals.next().await;
        }
        Ok(ExitCode::SUCCESS)
    })
}
