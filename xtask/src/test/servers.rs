//! The servers that suites need: each is found, or installed where we are root on a Debian, or started.
//!
//! A server that cannot be had is one sentence that says why and what would mend it. Nothing that was already running is
//! stopped, and what is started here stops with this process, however it ends.

mod aws;
mod docker;
mod gcp;
mod packages;

use std::path::{Path, PathBuf};

use crate::process::{command, in_path, output};

/// What a suite may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    /// A Docker engine with the images that the suites use.
    Docker,
    /// PostgreSQL's server binaries.
    Native,
    /// A PgBouncer that keeps the prepared statements of its clients apart.
    PgBouncer,
    /// The programs that download PostgreSQL's server binaries; the tests serve the download themselves.
    Managed,
    /// The program `nats-server`; the tests start it themselves.
    Nats,
    /// LocalStack, an emulator of AWS; the tests start it themselves.
    LocalStack,
    /// moto, another one; the tests start it themselves.
    Moto,
    /// Google's emulator of Pub/Sub; the tests start it themselves.
    PubSubEmulator,
}

impl Server {
    pub(super) const ALL: &[Self] = &[
        Self::Native,
        Self::PgBouncer,
        Self::Docker,
        Self::Managed,
        Self::Nats,
        Self::LocalStack,
        Self::Moto,
        Self::PubSubEmulator,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Native => "native",
            Self::PgBouncer => "pgbouncer",
            Self::Managed => "managed",
            Self::Nats => "nats",
            Self::LocalStack => "localstack",
            Self::Moto => "moto",
            Self::PubSubEmulator => "pubsub-emulator",
        }
    }
}

/// A server that is there.
pub(super) struct Ready {
    /// What it is and how it came to be there.
    pub(super) how: String,
    /// What stops it when dropped, if it was started here.
    pub(super) guard: Option<docker::Engine>,
}

/// Reads a list such as `docker,native`, or `all`.
pub(super) fn parse(names: &str) -> Result<Vec<Server>, String> {
    if names == "all" {
        return Ok(Server::ALL.to_vec());
    }
    let known = |name: &str| {
        let known: Vec<&str> = Server::ALL.iter().map(|server| server.name()).collect();
        let server = Server::ALL
            .iter()
            .copied()
            .find(|server| server.name() == name);
        server.ok_or(format!(
            "no server is called `{name}`; `all`, or a list of {}",
            known.join(",")
        ))
    };
    names.split(',').map(known).collect()
}

/// Finds, installs or starts a server.
pub(super) fn set_up(root: &Path, server: Server) -> Result<Ready, String> {
    match server {
        Server::Docker => docker::set_up(root),
        Server::Native => native(root).map(|how| Ready { how, guard: None }),
        Server::PgBouncer => pgbouncer(root).map(|how| Ready { how, guard: None }),
        Server::Managed => managed(root).map(|how| Ready { how, guard: None }),
        Server::Nats => nats(root).map(|how| Ready { how, guard: None }),
        Server::LocalStack => {
            aws::set_up(root, &aws::LOCALSTACK).map(|how| Ready { how, guard: None })
        }
        Server::Moto => aws::set_up(root, &aws::MOTO).map(|how| Ready { how, guard: None }),
        Server::PubSubEmulator => gcp::set_up(root).map(|how| Ready { how, guard: None }),
    }
}

/// PostgreSQL's server binaries on this machine.
fn native(root: &Path) -> Result<String, String> {
    if let Some(folder) = postgres_binaries() {
        return Ok(folder.display().to_string());
    }
    // The servers under test are private ones; Debian's package need not make one of its own.
    let no_cluster = Path::new("/etc/postgresql-common/createcluster.conf");
    packages::install(root, &["postgresql"], || {
        packages::write_new(no_cluster, "create_main_cluster = false\n")
    })?;
    let folder = postgres_binaries().ok_or("the package `postgresql` brought no `initdb`")?;
    Ok(format!("{} (installed now)", folder.display()))
}

/// The folder with `initdb` and `postgres`, if any.
fn postgres_binaries() -> Option<PathBuf> {
    let chosen = std::env::var_os("UNDERLAY_POSTGRES_BIN").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = |parent: &str| {
        let folders = std::fs::read_dir(parent).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = folders.map(|folder| folder.path().join("bin")).collect();
        folders.sort();
        folders.into_iter().rev()
    };
    let usual = ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"]
        .into_iter()
        .flat_map(versions);
    let folders = chosen
        .into_iter()
        .chain(std::env::split_paths(&path))
        .chain(usual);
    folders
        .into_iter()
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}

/// The first PgBouncer that keeps prepared statements apart.
const PGBOUNCER: (u32, u32) = (1, 21);
/// The release of Debian whose source is built where there is none that is new enough.
const PGBOUNCER_RELEASE: &str = "trixie";

/// A PgBouncer that is new enough: Debian 12's is not, so Debian 13's is built from its source package.
fn pgbouncer(root: &Path) -> Result<String, String> {
    if let Some(program) = pgbouncer_program(root) {
        return Ok(program.display().to_string());
    }
    let needed = ["build-essential", "libevent-dev", "pkg-config"];
    packages::install(root, &needed, || Ok(()))?;
    let folder = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), PathBuf::from)
        .join("xtask/pgbouncer");
    let archive = packages::source(&folder, "pgbouncer", PGBOUNCER_RELEASE)?;
    let source = folder.join("source");
    std::fs::create_dir_all(&source)
        .map_err(|error| format!("{} cannot be made: {error}", source.display()))?;
    let unpack = format!("tar -xzf {} --strip-components=1", archive.display());
    for line in [
        unpack.as_str(),
        "sh configure --without-cares --without-openssl",
        "make pgbouncer",
        "install pgbouncer /usr/local/bin/pgbouncer",
    ] {
        output(&mut command(&source, line))?;
    }
    let program = pgbouncer_program(root).ok_or("the PgBouncer that was built does not run")?;
    Ok(format!("{} (built now)", program.display()))
}

/// Where it lies, if there is one that is new enough.
fn pgbouncer_program(root: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/local/bin".into(), "/usr/sbin".into()]);
    let is_new = |program: &PathBuf| {
        let text = output(&mut command(
            root,
            &format!("{} --version", program.display()),
        ))
        .ok()?;
        let mut numbers = text.strip_prefix("PgBouncer ")?.split('.');
        let mut number = || numbers.next()?.parse::<u32>().ok();
        ((number()?, number()?) >= PGBOUNCER).then_some(())
    };
    folders
        .map(|folder| folder.join("pgbouncer"))
        .find(|program| program.is_file() && is_new(program).is_some())
}

/// What downloads and unpacks server binaries.
fn managed(root: &Path) -> Result<String, String> {
    let needed = [
        ("curl", "curl"),
        ("tar", "tar"),
        ("xz", "xz-utils"),
        ("sha256sum", "coreutils"),
    ];
    let missing = needed.iter().filter(|(program, _)| !in_path(program));
    let missing: Vec<&str> = missing.map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok("curl and tar".to_owned());
    }
    packages::install(root, &missing, || Ok(()))?;
    Ok(format!(
        "curl and tar (installed now: {})",
        missing.join(", ")
    ))
}

/// A NATS server.
fn nats(root: &Path) -> Result<String, String> {
    if let Some(version) = nats_version(root) {
        return Ok(version);
    }
    // Debian's package starts a service of its own only where there is systemd; the tests listen elsewhere.
    packages::install(root, &["nats-server"], || Ok(()))?;
    let version = nats_version(root).ok_or("the package `nats-server` brought no such program")?;
    Ok(format!("{version} (installed now)"))
}

/// What the server that the tests would start says of itself, if there is one.
fn nats_version(root: &Path) -> Option<String> {
    let programs = ["nats-server", "/usr/sbin/nats-server"];
    let mut texts = programs.into_iter().filter_map(|program| {
        let text = output(&mut command(root, &format!("{program} --version"))).ok()?;
        Some(text.trim().to_owned())
    });
    texts.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(
            parse("docker,native"),
            Ok(vec![Server::Docker, Server::Native])
        );
        assert_eq!(parse("all"), Ok(Server::ALL.to_vec()));
        let unknown = "no server is called `oracle`; `all`, or a list of native,pgbouncer,docker,managed,nats,localstack,moto,pubsub-emulator";
        assert_eq!(parse("docker,oracle"), Err(unknown.to_owned()));
    }
}
