//! A declaration inside of a test does not compile.
//!
//! trybuild compiles no tests, so this file compiles itself, with the mistake in it.

#![allow(
    clippy::unwrap_used,
    unexpected_cfgs,
    reason = "a test, which sets the cfg itself"
)]

use std::path::Path;
use std::process::Command;

#[cfg(mistake)]
#[test]
fn mistake() {
    #[underlay::bucket("uploads")]
    static UPLOADS: underlay::Bucket;
}

#[test]
fn a_declaration_in_a_test_does_not_compile() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let output = Command::new(env!("CARGO"))
        .args([
            "rustc",
            "--quiet",
            "--color=never",
            "--package",
            env!("CARGO_PKG_NAME"),
        ])
        .args(["--test", "declared_in_a_test", "--target-dir"])
        .arg(target)
        .args(["--", "--cfg", "mistake"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{told}");
    let text = "`#[bucket] static UPLOADS` must be declared at module level: move it out of the enclosing function";
    assert!(told.contains(text), "{told}");
    assert_eq!(told.matches("error[").count(), 1, "{told}");
}
