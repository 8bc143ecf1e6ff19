//! `cargo underlay doctor`: what this machine offers for a local start.

use std::process::ExitCode;

use underlay_local::{Status, doctor};

use crate::{arguments::CheckoutArguments, failure::Failure, output::Output, session::block_on};

/// Where an application listens unless told otherwise.
const PORT: u16 = 4000;

/// Say what this machine offers: toolchain, Docker, PostgreSQL, ports, disk. Fails if something needed is missing.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    checkout: CheckoutArguments,
}

pub(crate) fn run(arguments: Arguments, output: &Output) -> Result<ExitCode, Failure> {
    let checkout = arguments.checkout.find()?;
    let report = block_on(async { Ok(doctor(&checkout, PORT).await) })?;
    if output.is_json() {
        output.document(&report);
    }
    let width = report
        .checks
        .iter()
        .map(|it| it.name.len())
        .max()
        .unwrap_or_default();
    for check in &report.checks {
        let status = match check.status {
            Status::Ok => "ok     ",
            Status::Missing => "missing",
            Status::Problem => "problem",
        };
        output.line(format_args!(
            "{status}  {:width$}  {}",
            check.name, check.detail
        ));
        if let Some(advice) = &check.advice {
            output.line(format_args!("         {:width$}  {advice}", ""));
        }
    }
    let has_problem = report.checks.iter().any(|it| it.status == Status::Problem);
    Ok(if has_problem {
        ExitCode::from(Failure::FAILED)
    } else {
        ExitCode::SUCCESS
    })
}
