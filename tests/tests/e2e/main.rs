//! The applications of this repository as their users meet them: built once, started as processes in checkouts of
//! their own, spoken to over HTTP, killed and started again.
//!
//! Every start gets its whole environment from its test, so nothing of the machine's leaks in. This file knows the
//! suites and nothing of what they do.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and talks through its output"
)]

mod application;
mod brokers;
mod config;
mod database;
mod dead_letters;
mod errors;
mod faults;
mod folder;
mod http;
mod ladder;
mod load;
mod migrations;
mod mirror;
mod outbox;
mod plain_server;
mod pooler;
mod servers;
mod shop;
mod text;
mod tls;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let suites = [
        shop::trials(),
        ladder::trials(),
        errors::trials(),
        config::trials(),
        load::trials(),
        migrations::trials(),
        faults::trials(),
        tls::trials(),
        pooler::trials(),
        outbox::trials(),
        dead_letters::trials(),
        brokers::trials(),
    ];
    libtest_mimic::run(&arguments, suites.into_iter().flatten().collect()).exit_code()
}
