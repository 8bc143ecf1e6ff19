//! `cargo xtask docs`: the documents that are generated from the code.
//!
//! The generator is the test `generated` beside this binary; it compares, or writes when `UNDERLAY_UPDATE_DOCS` is set.
//! So `cargo test` alone finds a stale document, and `cargo xtask` builds without our crates.

use std::path::Path;

use crate::process::{self, cargo};

/// What to do with the generated documents.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    Check,
}

/// Writes the generated documents, or checks that they are current.
pub(crate) fn run(root: &Path, mode: Mode) -> Result<(), String> {
    let mut command = cargo(root, "test --quiet --package xtask --test generated");
    if mode == Mode::Write {
        command.env("UNDERLAY_UPDATE_DOCS", "1");
    }
    process::run(&mut command)
}
