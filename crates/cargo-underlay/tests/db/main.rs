//! `cargo underlay db` on small workspaces, most of which do not compile, against PostgreSQL from this machine's
//! binaries.
//!
//! Where there are none, what needs them is reported ignored; `UNDERLAY_REQUIRE=native` makes that a failure.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod elsewhere;
mod life;
mod prepare;
#[path = "../program/mod.rs"]
mod program;
mod project;
mod source;

use std::{path::Path, process::ExitCode};

use libtest_mimic::{Arguments, Completion, Trial};

fn main() -> ExitCode {
    let trials = vec![
        plain("what_the_source_declares", source::what_the_source_declares),
        plain(
            "what_is_wrong_is_said_with_its_place",
            source::what_is_wrong_is_said_with_its_place,
        ),
        plain("the_binary_that_is_meant", source::the_binary_that_is_meant),
        plain("new_migrations", source::new_migrations),
        native(
            "from_a_fresh_checkout_to_data",
            life::from_a_fresh_checkout_to_data,
        ),
        native("a_shell_only_reads", life::a_shell_only_reads),
        native("seeds", life::seeds),
        native("what_does_not_agree", life::what_does_not_agree),
        native("the_server_of_the_tests", life::the_server_of_the_tests),
        native(
            "code_that_does_not_compile",
            life::code_that_does_not_compile,
        ),
        native("another_environment", elsewhere::another_environment),
        native("checked_queries", prepare::checked_queries),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn plain(name: &str, test: fn()) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

/// A test that needs the server binaries.
fn native(name: &str, test: fn()) -> Trial {
    Trial::ignorable_test(format!("native::{name}"), move || {
        let required = std::env::var("UNDERLAY_REQUIRE").unwrap_or_default();
        let is_required = required
            .split(',')
            .any(|it| matches!(it.trim(), "native" | "all"));
        let reason = "native: no PostgreSQL server binaries under /usr/lib/postgresql";
        match (is_installed(), is_required) {
            (true, _) => {
                test();
                Ok(Completion::Completed)
            }
            (false, true) => Err(reason.into()),
            (false, false) => Ok(Completion::ignored_with(reason)),
        }
    })
}

fn is_installed() -> bool {
    let versions = std::fs::read_dir("/usr/lib/postgresql");
    let mut versions = versions.into_iter().flatten().flatten();
    versions.any(|it| Path::new(&it.path()).join("bin/initdb").is_file())
}
