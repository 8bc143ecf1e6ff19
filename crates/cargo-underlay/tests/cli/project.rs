//! A cargo workspace that a test writes, and what `cargo underlay` says of it. Knows no test.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

use crate::program::{self, Outcome};

/// The projects share a target folder, so that their dependencies are compiled once: one test at a time.
static TARGET: Mutex<()> = Mutex::new(());

/// A workspace in a folder of its own that stays the same from run to run.
pub(crate) struct Project {
    pub(crate) root: PathBuf,
    target: PathBuf,
    _lock: MutexGuard<'static, ()>,
}

impl Project {
    /// Writes files; `{repository}` in them stands for the root of this repository. The versions of all dependencies
    /// are those of this repository's lock file.
    pub(crate) fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli");
        let root = folder.join(name);
        let lock = TARGET.lock().unwrap_or_else(PoisonError::into_inner);
        if root.exists() {
            fs::remove_dir_all(&root).unwrap();
        }
        let project = Self {
            target: folder.join("target"),
            root,
            _lock: lock,
        };
        for (path, text) in files {
            project.write(path, text);
        }
        fs::copy(
            repository().join("Cargo.lock"),
            project.root.join("Cargo.lock"),
        )
        .unwrap();
        project
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(
            path,
            text.replace("{repository}", repository().to_str().unwrap()),
        )
        .unwrap();
    }

    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Runs `cargo underlay` in the workspace's root.
    pub(crate) fn underlay(&self, arguments: &[&str]) -> Outcome {
        self.underlay_in("", arguments)
    }

    /// Runs `cargo underlay` in a folder of the workspace.
    pub(crate) fn underlay_in(&self, folder: &str, arguments: &[&str]) -> Outcome {
        let mut command = program::command();
        // As cargo calls it.
        command
            .arg("underlay")
            .args(arguments)
            .current_dir(self.root.join(folder));
        command
            .env("CARGO_TARGET_DIR", &self.target)
            // Nobody debugs them, and they build faster.
            .env("CARGO_PROFILE_DEV_DEBUG", "0");
        Outcome::of(command)
    }
}

impl Outcome {
    /// The problems that a command with `--json` found, each as severity, message and the places' lines.
    pub(crate) fn problems(&self, code: i32) -> Vec<(String, String, Vec<String>)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let place = |it: &Value| format!("{}:{}:{}", text(&it["file"]), it["line"], it["column"]);
        let problems = self.json(code);
        let problems = problems.as_array().unwrap().iter();
        problems
            .map(|it| {
                let sources = it["sources"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(place)
                    .collect();
                (text(&it["severity"]), text(&it["message"]), sources)
            })
            .collect()
    }
}

/// The root of this repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap()
}
