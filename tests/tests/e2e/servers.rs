//! What a test needs of the machine, and what becomes of it where that is out of reach: ignored with the reason, or
//! failed where `UNDERLAY_REQUIRE` (a list such as `docker,native`, or `all`) names it.

use std::{
    env, fs,
    net::{IpAddr, Ipv4Addr, UdpSocket},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use libtest_mimic::{Completion, Trial};

/// Something that not every machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// A Docker engine with the image `postgres:17`.
    Docker,
    /// PostgreSQL's server binaries.
    Native,
    /// A PgBouncer that keeps the prepared statements of its clients apart.
    PgBouncer,
    /// The program `nats-server`.
    Nats,
    /// What downloads and unpacks them, and binaries to make an archive from.
    Managed,
    /// A user that may hide folders from a process.
    MountNamespace,
    /// A user that may run a process as another one.
    OtherUser,
    /// An address of this machine besides the loopback ones.
    Address,
}

impl Need {
    /// As `UNDERLAY_REQUIRE` has it.
    fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Native => "native",
            Self::PgBouncer => "pgbouncer",
            Self::Nats => "nats",
            Self::Managed => "managed",
            Self::MountNamespace => "mount namespace",
            Self::OtherUser => "another user",
            Self::Address => "another address",
        }
    }

    /// Why it cannot be had here.
    fn absence(self) -> Option<String> {
        match self {
            Self::Docker => docker_absence(),
            Self::Native => installed()
                .is_none()
                .then(|| "no PostgreSQL server binaries under /usr/lib/postgresql".to_owned()),
            Self::PgBouncer => pgbouncer().is_none().then(|| {
                let (major, minor) = PGBOUNCER;
                format!(
                    "no PgBouncer {major}.{minor} or newer on the PATH or where it is installed"
                )
            }),
            Self::Nats => nats_server().is_none().then(|| {
                "no program `nats-server`; install it (Debian: `apt-get install nats-server`)"
                    .to_owned()
            }),
            Self::Managed => Self::Native.absence().or_else(|| {
                let missing = ["curl", "tar", "xz"]
                    .into_iter()
                    .find(|program| in_path(program).is_none());
                missing.map(|program| format!("no `{program}` on the PATH"))
            }),
            Self::MountNamespace => {
                let works = succeeds(
                    Command::new("unshare").args(["--mount", "mount", "--bind", "/mnt", "/mnt"]),
                );
                (!works).then(|| "this user may not mount, so folders cannot be hidden".to_owned())
            }
            Self::OtherUser => {
                let works = succeeds(Command::new("setpriv").args(AS_NOBODY).arg("true"));
                (!works).then(|| "this user cannot run a process as `nobody`".to_owned())
            }
            Self::Address => other_address()
                .is_none()
                .then(|| "this machine has only loopback addresses".to_owned()),
        }
    }
}

/// The arguments of `setpriv` that come before the program which `nobody` shall run.
pub(crate) const AS_NOBODY: [&str; 3] = ["--reuid=65534", "--regid=65534", "--clear-groups"];

/// A test that runs where its needs are met.
pub(crate) fn trial(name: &str, needs: &'static [Need], test: fn()) -> Trial {
    Trial::ignorable_test(name, move || {
        let required = env::var("UNDERLAY_REQUIRE").unwrap_or_default();
        for need in needs {
            let Some(reason) = need.absence() else {
                continue;
            };
            let reason = format!("{}: {reason}", need.name());
            let is_required = required
                .split(',')
                .any(|it| it.trim() == need.name() || it.trim() == "all");
            return if is_required {
                Err(reason.into())
            } else {
                Ok(Completion::ignored_with(reason))
            };
        }
        test();
        Ok(Completion::Completed)
    })
}

fn docker_absence() -> Option<String> {
    static ABSENCE: OnceLock<Option<String>> = OnceLock::new();
    let look = || {
        let host =
            env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
        let socket = host.trim_start_matches("unix://");
        if let Err(error) = UnixStream::connect(socket) {
            return Some(format!("no engine at {socket}: {error}"));
        }
        let image = Command::new("docker")
            .args(["image", "inspect", "postgres:17"])
            .stdout(Stdio::null())
            .status();
        match image {
            Ok(status) if status.success() => None,
            Ok(_) => Some("no image postgres:17".to_owned()),
            Err(error) => Some(format!("the command `docker` cannot be run: {error}")),
        }
    };
    ABSENCE.get_or_init(look).clone()
}

/// The newest folder of PostgreSQL's server binaries where Debian puts them.
pub(crate) fn installed() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders
        .into_iter()
        .rev()
        .find(|folder| folder.join("initdb").is_file())
}

/// The first PgBouncer that keeps prepared statements apart.
const PGBOUNCER: (u32, u32) = (1, 21);

/// A PgBouncer that is new enough.
pub(crate) fn pgbouncer() -> Option<PathBuf> {
    let is_new = |program: &PathBuf| {
        let output = Command::new(program).arg("--version").output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let mut numbers = text.lines().next()?.strip_prefix("PgBouncer ")?.split('.');
        let mut number = || numbers.next()?.parse::<u32>().ok();
        ((number()?, number()?) >= PGBOUNCER).then_some(())
    };
    // Debian's lies where only root looks.
    let usual = ["/usr/local/bin", "/usr/sbin"].map(|it| Path::new(it).join("pgbouncer"));
    in_path("pgbouncer")
        .into_iter()
        .chain(usual)
        .find(|program| is_new(program).is_some())
}

/// An address of this machine that others could reach it at.
pub(crate) fn other_address() -> Option<IpAddr> {
    // Connecting a datagram socket sends nothing; it only asks which of our addresses would be used.
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(("192.0.2.1", 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

/// The program `nats-server`, which Debian installs where a user's PATH may not lead.
pub(crate) fn nats_server() -> Option<PathBuf> {
    let installed = PathBuf::from("/usr/sbin/nats-server");
    in_path("nats-server").or_else(|| installed.is_file().then_some(installed))
}

/// Where a program lies.
pub(crate) fn in_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|path: &PathBuf| Path::is_file(path))
}

fn succeeds(command: &mut Command) -> bool {
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}
