//! A Docker engine: the one that runs, or one started here for the length of this run, and the images that suites use.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Ready, packages};
use crate::process::{command, in_path, output, run};

/// The images that the suites start containers of.
const IMAGES: &[&str] = &["postgres:17"];

/// A script of the environment's that makes these images where no registry can be reached.
const IMAGES_SCRIPT: &str = "UNDERLAY_IMAGES_SCRIPT";

const START_DEADLINE: Duration = Duration::from_secs(60);

/// Finds or starts an engine, and gets the images.
pub(super) fn set_up(root: &Path) -> Result<Ready, String> {
    let (how, guard) = match reachable(root) {
        Ok(version) => (format!("Docker {version}, which was running"), None),
        Err(why) => {
            let engine = Engine::start(root).map_err(|error| format!("{why}; {error}"))?;
            let version = reachable(root)?;
            (
                format!("Docker {version}, started for this run"),
                Some(engine),
            )
        }
    };
    let images = get_images(root)?;
    Ok(Ready {
        how: format!("{how}; {images}"),
        guard,
    })
}

/// The version of the engine that answers.
fn reachable(root: &Path) -> Result<String, String> {
    if !in_path("docker") {
        return Err("there is no `docker`".to_owned());
    }
    let version = output(
        command(root, "docker version --format {{.Server.Version}}")
            .env_remove("DOCKER_API_VERSION"),
    );
    version.map(|version| version.trim().to_owned())
}

fn get_images(root: &Path) -> Result<String, String> {
    if let Some(script) = std::env::var_os(IMAGES_SCRIPT) {
        run(Command::new(&script).current_dir(root))?;
    }
    let mut pulled = Vec::new();
    for image in IMAGES {
        if output(&mut command(root, &format!("docker image inspect {image}"))).is_err() {
            run(&mut command(root, &format!("docker pull {image}")))?;
            pulled.push(*image);
        }
    }
    let pulled = if pulled.is_empty() {
        String::new()
    } else {
        format!(" (pulled now: {})", pulled.join(", "))
    };
    Ok(format!("{}{pulled}", IMAGES.join(", ")))
}

/// A Docker engine that stops when this is dropped, or when this process ends in whatever way.
///
/// A shell starts it and waits for the end of its own input, whose other side only this process holds.
pub(in crate::test) struct Engine {
    shell: Child,
}

impl Engine {
    const SCRIPT: &str = r#"
        trap '' INT HUP
        exec 3<&0
        dockerd >"$1" 2>&1 &
        engine=$!
        { cat >/dev/null; kill -TERM "$engine"; } <&3 &
        watcher=$!
        wait "$engine"
        status=$?
        kill "$watcher" 2>/dev/null
        exit "$status"
    "#;

    fn start(root: &Path) -> Result<Self, String> {
        if std::env::var_os("DOCKER_HOST").is_some() {
            return Err(
                "DOCKER_HOST names an engine elsewhere, so none is started here".to_owned(),
            );
        }
        if output(&mut command(root, "id -u"))?.trim() != "0" {
            return Err("start Docker, or run this as root".to_owned());
        }
        if !in_path("dockerd") || !in_path("docker") || !in_path("iptables") {
            packages::install(root, &["docker.io", "iptables"], || Ok(()))?;
        }
        let log = log(root)?;
        let shell = Command::new("sh")
            .args(["-c", Self::SCRIPT, "sh"])
            .arg(&log)
            .stdin(Stdio::piped())
            .spawn();
        let mut engine = Self {
            shell: shell.map_err(|error| format!("`sh` could not be started: {error}"))?,
        };
        engine.wait_until_reachable(root, &log)?;
        Ok(engine)
    }

    fn wait_until_reachable(&mut self, root: &Path, log: &Path) -> Result<(), String> {
        let start = Instant::now();
        while let Err(why) = reachable(root) {
            let ended = self
                .shell
                .try_wait()
                .map_err(|error| format!("`sh` cannot be waited for: {error}"))?;
            let end = match ended {
                Some(status) => format!("dockerd ended ({status})"),
                None if start.elapsed() < START_DEADLINE => {
                    std::thread::sleep(Duration::from_millis(200));
                    continue;
                }
                None => format!(
                    "dockerd did not answer within {} s ({why})",
                    START_DEADLINE.as_secs()
                ),
            };
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let last = text.lines().last().unwrap_or("nothing");
            return Err(format!("{end}; {} ends with: {last}", log.display()));
        }
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // It stops its containers first; nothing is lost if it cannot be waited for.
        let _ = self.shell.wait();
    }
}

/// Where the engine's log goes.
fn log(root: &Path) -> Result<PathBuf, String> {
    let folder = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), PathBuf::from)
        .join("xtask");
    std::fs::create_dir_all(&folder)
        .map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
    Ok(folder.join("dockerd.log"))
}
