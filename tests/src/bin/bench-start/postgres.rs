//! Bare PostgreSQL servers: what the rungs of the ladder are measured against. Knows nothing of Underlay.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use underlay_tests::bench::{Application, file_error, free_port, output, run};

/// The image that Underlay takes by default.
pub(crate) const IMAGE: &str = "postgres:17";
const PASSWORD: &str = "bench";
/// Marks what this bench made, so that it removes nothing else.
const LABEL: &str = "dev.underlay.bench=start";

/// The folder of PostgreSQL's programs on this machine.
pub(crate) fn binaries() -> Result<PathBuf, String> {
    let mut folders: Vec<PathBuf> = env::var_os("UNDERLAY_POSTGRES_BIN")
        .map(PathBuf::from)
        .into_iter()
        .collect();
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut versions: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    versions.sort();
    folders.extend(versions.into_iter().rev());
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    folders
        .into_iter()
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
        .ok_or_else(|| {
            "no PostgreSQL binaries on this machine (apt-get install postgresql)".to_owned()
        })
}

/// A server in a folder of its own, from binaries on this machine, on a port of loopback.
pub(crate) struct Native {
    binaries: PathBuf,
    data: PathBuf,
    port: u16,
}

impl Native {
    /// Says where; makes nothing.
    pub(crate) fn new(binaries: &Path, folder: &Path) -> Result<Self, String> {
        Ok(Self {
            binaries: binaries.to_owned(),
            data: folder.join("data"),
            port: free_port()?,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!(
            "postgres://bench@127.0.0.1:{}/postgres?sslmode=disable",
            self.port
        )
    }

    /// Creates the cluster, with what Underlay gives to `initdb` too.
    pub(crate) fn initialise(&self) -> Result<(), String> {
        let folder = self.data.parent().unwrap_or(&self.data);
        fs::create_dir_all(folder).map_err(|error| file_error("create", folder, &error))?;
        give_away(folder)?;
        let mut command = Command::new(self.binaries.join("initdb"));
        command.arg("-D").arg(&self.data);
        command.args([
            "--username",
            "bench",
            "--auth",
            "trust",
            "--encoding",
            "UTF8",
            "--locale",
            "C",
        ]);
        command.args(["--no-sync", "--no-instructions"]);
        run(unprivileged(command.current_dir("/"))?)
    }

    /// Starts the server; it is not ready yet.
    pub(crate) fn start(&self) -> Result<Application, String> {
        let mut command = Command::new(self.binaries.join("postgres"));
        command
            .arg("-D")
            .arg(&self.data)
            .args(["-p", &self.port.to_string()]);
        command.args([
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "unix_socket_directories=",
        ]);
        Application::start(unprivileged(command.current_dir("/"))?)
    }
}

/// PostgreSQL refuses to run as root: then it is the account `postgres` or `nobody`.
#[cfg(unix)]
fn account() -> Result<Option<(u32, u32)>, String> {
    let own = output(Command::new("id").arg("-u"))?;
    if own.trim() != "0" {
        return Ok(None);
    }
    let passwd = Path::new("/etc/passwd");
    let text = fs::read_to_string(passwd).map_err(|error| file_error("read", passwd, &error))?;
    let find = |name: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{name}:")))?;
        let mut fields = line.split(':').skip(2).map(str::parse);
        Some((fields.next()?.ok()?, fields.next()?.ok()?))
    };
    find("postgres")
        .or_else(|| find("nobody"))
        .map(Some)
        .ok_or_else(|| {
            "PostgreSQL refuses to run as root, and no other account is here to run it".to_owned()
        })
}

#[cfg(unix)]
fn unprivileged(command: &mut Command) -> Result<&mut Command, String> {
    use std::os::unix::process::CommandExt as _;

    if let Some((user, group)) = account()? {
        command.uid(user).gid(group);
    }
    Ok(command)
}

#[cfg(unix)]
fn give_away(folder: &Path) -> Result<(), String> {
    let Some((user, group)) = account()? else {
        return Ok(());
    };
    std::os::unix::fs::chown(folder, Some(user), Some(group))
        .map_err(|error| file_error("give away", folder, &error))
}

#[cfg(not(unix))]
fn unprivileged(command: &mut Command) -> Result<&mut Command, String> {
    Ok(command)
}

#[cfg(not(unix))]
fn give_away(_folder: &Path) -> Result<(), String> {
    Ok(())
}

/// Why Docker cannot be used, or nothing.
pub(crate) fn docker() -> Result<(), String> {
    let version =
        output(Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]));
    version.map_err(|error| error.replace('\n', " "))?;
    if output(Command::new("docker").args(["image", "inspect", IMAGE])).is_err() {
        // A pull is the network's time, not ours.
        run(Command::new("docker").args(["pull", "--quiet", IMAGE]))?;
    }
    Ok(())
}

/// A bare container.
pub(crate) struct Container {
    id: String,
}

impl Container {
    /// `docker run`; it is not ready yet.
    pub(crate) fn run() -> Result<Self, String> {
        let password = format!("POSTGRES_PASSWORD={PASSWORD}");
        let arguments = [
            "run",
            "--detach",
            "--label",
            LABEL,
            "--env",
            &password,
            "--publish",
            "127.0.0.1::5432",
            IMAGE,
        ];
        let id = output(Command::new("docker").args(arguments))?;
        Ok(Self {
            id: id.trim().to_owned(),
        })
    }

    pub(crate) fn stop(&self) -> Result<(), String> {
        run(Command::new("docker").args(["stop", &self.id]))
    }

    pub(crate) fn start(&self) -> Result<(), String> {
        run(Command::new("docker").args(["start", &self.id]))
    }

    /// Where it is, which changes with each start.
    pub(crate) fn url(&self) -> Result<String, String> {
        let address = output(Command::new("docker").args(["port", &self.id, "5432/tcp"]))?;
        let address = address.lines().next().unwrap_or_default();
        Ok(format!(
            "postgres://postgres:{PASSWORD}@{address}/postgres?sslmode=disable"
        ))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = run(Command::new("docker").args(["rm", "--force", "--volumes", &self.id]));
    }
}

/// Stops the containers that Underlay made for a checkout.
pub(crate) fn stop_containers_of(checkout: &Path) -> Result<(), String> {
    for id in docker_list(&["ps", "--quiet"], checkout)? {
        run(Command::new("docker").args(["stop", &id]))?;
    }
    Ok(())
}

/// Removes what Underlay made in Docker for a checkout.
pub(crate) fn remove_containers_of(checkout: &Path) -> Result<(), String> {
    for id in docker_list(&["ps", "--all", "--quiet"], checkout)? {
        run(Command::new("docker").args(["rm", "--force", "--volumes", &id]))?;
    }
    for name in docker_list(&["volume", "ls", "--quiet"], checkout)? {
        run(Command::new("docker").args(["volume", "rm", &name]))?;
    }
    Ok(())
}

fn docker_list(arguments: &[&str], checkout: &Path) -> Result<Vec<String>, String> {
    let filter = format!("label=dev.underlay.root={}", checkout.display());
    let list = output(
        Command::new("docker")
            .args(arguments)
            .args(["--filter", &filter]),
    )?;
    Ok(list.lines().map(str::to_owned).collect())
}

/// Waits until no server uses a data folder any more.
pub(crate) fn wait_until_stopped(data: &Path) -> Result<(), String> {
    let lock = data.join("postmaster.pid");
    let begin = Instant::now();
    while lock.exists() {
        if begin.elapsed() > Duration::from_secs(60) {
            return Err(format!("{} is still there after a minute", lock.display()));
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Waits for the first query that the server answers; returns how long after `begin` that was.
pub(crate) fn first_query(client: &Path, url: &str, begin: Instant) -> Result<Duration, String> {
    run(Command::new(client).args(["--wait", url]))?;
    Ok(begin.elapsed())
}
