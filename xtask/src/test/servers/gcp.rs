//! Google's emulator of Pub/Sub: a Java archive of Google's own packages. The tests start it.

use std::path::{Path, PathBuf};

use crate::{process::in_path, test::servers::packages};

/// What brings it. Debian does not have it.
const PACKAGE: &str = "google-cloud-cli-pubsub-emulator";
/// Where Google's packages lie.
const SDKS: &[&str] = &[
    "/usr/lib/google-cloud-sdk",
    "/usr/share/google-cloud-sdk",
    "/opt/google-cloud-sdk",
];

/// Finds the emulator, or installs it where Google's package source is known.
pub(super) fn set_up(root: &Path) -> Result<String, String> {
    if !in_path("java") {
        packages::install(root, &["default-jre-headless"], || Ok(()))?;
    }
    if let Some(archive) = archive() {
        return Ok(archive.display().to_string());
    }
    packages::install(root, &[PACKAGE], || Ok(())).map_err(|why| {
        format!(
            "`{PACKAGE}` is not installed and could not be; it is in Google's package source only, see https://cloud.google.com/sdk/docs/install#deb: {why}"
        )
    })?;
    let archive = archive().ok_or(format!("the package `{PACKAGE}` brought no emulator"))?;
    Ok(format!("{} (installed now)", archive.display()))
}

/// The archive that the tests start.
fn archive() -> Option<PathBuf> {
    let files = SDKS.iter().flat_map(|sdk| {
        let folder = Path::new(sdk).join("platform/pubsub-emulator/lib");
        std::fs::read_dir(folder).into_iter().flatten().flatten()
    });
    files
        .map(|file| file.path())
        .find(|path| path.extension().is_some_and(|it| it == "jar"))
}
