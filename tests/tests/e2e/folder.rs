//! A checkout of its own for a test: a folder that `underlay.toml` marks as an application's root, with its state.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use serde_json::Value;
use underlay_local::Checkout;

use crate::application::{Start, within};

/// A checkout in the temporary folder. Dropping it removes it, and the containers and volumes that belong to it.
pub(crate) struct Folder {
    pub(crate) checkout: Checkout,
    uses_docker: AtomicBool,
}

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let root = env::temp_dir().join(format!("underlay-e2e-{}-{number}", std::process::id()));
        fs::create_dir(&root).unwrap();
        fs::write(root.join("underlay.toml"), "").unwrap();
        Self {
            checkout: Checkout::find(&root).unwrap(),
            uses_docker: AtomicBool::new(false),
        }
    }

    /// The shop in this checkout, with the PostgreSQL that is installed on this machine, on any free port.
    pub(crate) fn shop(&self) -> Start<'_> {
        Start::new(self, crate::application::shop()).with("UNDERLAY_POSTGRES", "native")
    }

    /// The shop with Docker's PostgreSQL.
    pub(crate) fn shop_with_docker(&self) -> Start<'_> {
        self.uses_docker.store(true, Ordering::Relaxed);
        let start = self.shop().without("UNDERLAY_POSTGRES");
        match env::var("DOCKER_HOST") {
            Ok(host) => start.with("DOCKER_HOST", host),
            Err(_) => start.without("DOCKER_HOST"),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.checkout.root
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    /// A path that exists nowhere, below the checkout.
    pub(crate) fn nowhere(&self) -> String {
        self.path("nowhere").display().to_string()
    }

    pub(crate) fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.uses_docker.load(Ordering::Relaxed) {
            let label = format!("label=dev.underlay.checkout={}", self.checkout.id);
            let containers = docker(&["ps", "--all", "--quiet", "--filter", &label]);
            for id in containers.split_whitespace() {
                docker(&["rm", "--force", "--volumes", id]);
            }
            let volumes = docker(&["volume", "ls", "--quiet", "--filter", &label]);
            for name in volumes.split_whitespace() {
                docker(&["volume", "rm", name]);
            }
        }
        // The folder of the native server's socket lies outside the checkout; the record of the server names it.
        let record = fs::read(self.path(".underlay/default/postgres.json")).unwrap_or_default();
        let record: Value = serde_json::from_slice(&record).unwrap_or_default();
        // What cannot be removed is left to the system: a test's verdict does not depend on it.
        if let Some(socket) = record["address"]["socket"]["folder"].as_str() {
            let _ = fs::remove_dir_all(socket);
        }
        // A server that is just stopping still writes: then another attempt is needed.
        within(Duration::from_secs(20), || {
            let _ = fs::remove_dir_all(self.root());
            (!self.root().exists()).then_some(())
        });
        for parent in ["/var/tmp", "/dev/shm"] {
            for user in [0, 65534] {
                let _ = fs::remove_dir_all(
                    Path::new(parent).join(format!("underlay-{user}-{}", self.checkout.id)),
                );
            }
        }
    }
}

/// What the `docker` command says; nothing where it fails.
pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker")
        .args(arguments)
        .stderr(Stdio::null())
        .output();
    output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default()
}
