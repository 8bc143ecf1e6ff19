//! What the compiler says of each mistake, compared with the `.stderr` file beside it.
//!
//! `TRYBUILD=overwrite cargo test -p underlay-tests --test ui` writes the files anew; read the difference.
//! What must compile is in `inventory.rs`: here every dependency would be built a second time for it.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;

#[test]
fn mistakes() {
    // Migrations directories are found from the manifest, which is one that trybuild writes.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let package = target.join("tests/trybuild").join(env!("CARGO_PKG_NAME"));
    copy(Path::new("ui/fixtures"), &package.join("fixtures"));

    trybuild::TestCases::new().compile_fail("ui/*/*.rs");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
