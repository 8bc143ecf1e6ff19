//! Shares one native server between the processes of a checkout, and stops it when the last of them is gone.
//!
//! The supervisor is `supervise.sh`; its head says how users are counted. This file is the users' side: joining,
//! starting, and telling a living server from what a crash left behind. It knows nothing of data or configuration.
//!
//! Files in the run folder: `users` (the FIFO), `users.closing` (the FIFO while the server stops), `supervise.sh`.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    net::unix::pipe,
    process::{Child, Command},
};

use crate::{
    error::{Error, ErrorKind, os_text},
    postgres::account::Account,
};

/// Opening a FIFO for writing without a reader; the same number on Linux, macOS and the BSDs.
const ENXIO: i32 = 6;

const SCRIPT: &str = include_str!("supervise.sh");

/// One use of a native server. The server is stopped when the last one, of all processes, is dropped.
#[derive(Debug)]
pub(crate) struct Guard {
    _users: File,
}

/// What a run folder says about its server.
pub(crate) enum Presence {
    /// A supervisor is there, and counts us from now on.
    Joined(Guard),
    /// The supervisor is stopping its server.
    Closing,
    /// There is no supervisor.
    Absent,
}

/// Becomes a user of the server in `run`, if it has a supervisor.
pub(crate) fn join(run: &Path) -> Result<Presence, Error> {
    let path = run.join("users");
    match open_for_writing(&path)? {
        Some(mut users) => match users.write_all(b"join\n") {
            Ok(()) => Ok(Presence::Joined(Guard { _users: users })),
            // The supervisor died between the two calls.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Presence::Absent),
            Err(error) => Err(Error::state("write to", &path, &error)),
        },
        None => Ok(match open_for_writing(&run.join("users.closing"))? {
            Some(_) => Presence::Closing,
            None => Presence::Absent,
        }),
    }
}

/// Whether a supervisor is there, and be it closing, without becoming a user of its server.
pub(crate) fn is_there(run: &Path) -> Result<bool, Error> {
    Ok(open_for_writing(&run.join("users"))?.is_some()
        || open_for_writing(&run.join("users.closing"))?.is_some())
}

/// Tells a supervisor whose server is dead, and that nobody else can reach, to go.
pub(crate) fn dismiss(mut guard: Guard) {
    // It may be gone already; then there is nobody to tell.
    let _ = guard._users.write_all(b"quit\n");
}

/// `None` when nobody reads from the FIFO, or there is none.
fn open_for_writing(path: &Path) -> Result<Option<File>, Error> {
    match pipe::OpenOptions::new().open_sender(path) {
        Ok(sender) => {
            let descriptor = sender
                .into_nonblocking_fd()
                .map_err(|error| Error::state("open", path, &error))?;
            Ok(Some(File::from(descriptor)))
        }
        Err(error)
            if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ENXIO) =>
        {
            Ok(None)
        }
        Err(error) => Err(Error::state("open", path, &error)),
    }
}

/// How to start a server.
pub(crate) struct Start<'a> {
    /// The `postgres` program.
    pub(crate) postgres: PathBuf,
    /// The data folder.
    pub(crate) data: &'a Path,
    /// The run folder.
    pub(crate) run: &'a Path,
    /// The file that takes the server's log; emptied.
    pub(crate) log: &'a Path,
    /// Who runs the server, when not we ourselves.
    pub(crate) account: Option<&'a Account>,
    /// Options for `postgres`.
    pub(crate) options: Vec<String>,
}

/// Starts a supervisor with its server; the caller holds the start lock and has seen [`Presence::Absent`].
pub(crate) async fn start(start: Start<'_>) -> Result<(Child, Guard), Error> {
    let users = start.run.join("users");
    let closing = start.run.join("users.closing");
    match fs::remove_file(&closing) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::state("remove", &closing, &error));
        }
        _ => {}
    }
    if !users.exists() {
        make_fifo(&users, start.account).await?;
    }
    let script = start.run.join("supervise.sh");
    fs::write(&script, SCRIPT).map_err(|error| Error::state("write", &script, &error))?;
    let log = File::create(start.log).map_err(|error| Error::state("create", start.log, &error))?;
    let log_too = log
        .try_clone()
        .map_err(|error| Error::state("open", start.log, &error))?;
    // The reading end first, then ours: so there is a user before the supervisor looks for one, and it reads the end
    // of the file if this process dies before it is up.
    let opened = || -> io::Result<(OwnedFd, OwnedFd)> {
        let reader = pipe::OpenOptions::new().open_receiver(&users)?;
        let writer = pipe::OpenOptions::new().open_sender(&users)?;
        Ok((reader.into_blocking_fd()?, writer.into_nonblocking_fd()?))
    };
    let (reader, writer) = opened().map_err(|error| Error::state("open", &users, &error))?;
    let mut command = Command::new("sh");
    command
        .arg(&script)
        .arg(&start.postgres)
        .arg(start.data)
        .arg(start.run)
        .args(&start.options);
    prepare(&mut command, start.account);
    // A group of its own, so that Ctrl-C in the terminal reaches the application and not the server.
    command.process_group(0);
    command
        .stdin(Stdio::from(reader))
        .stdout(Stdio::from(log))
        .stderr(Stdio::from(log_too));
    let child = command.spawn().map_err(|error| {
        Error::new(
            ErrorKind::Native,
            format!(
                "cannot run `sh` to supervise PostgreSQL: {}",
                os_text(&error)
            ),
        )
    })?;
    Ok((
        child,
        Guard {
            _users: File::from(writer),
        },
    ))
}

async fn make_fifo(path: &Path, account: Option<&Account>) -> Result<(), Error> {
    let mut command = Command::new("mkfifo");
    command.arg("-m").arg("600").arg(path);
    prepare(&mut command, account);
    let output = command.output().await.map_err(|error| {
        Error::new(
            ErrorKind::Native,
            format!(
                "cannot run `mkfifo`: {}; it is part of coreutils",
                os_text(&error)
            ),
        )
    })?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(Error::new(
        ErrorKind::Native,
        format!("cannot create the FIFO {}: {}", path.display(), text.trim()),
    ))
}

/// Gives a command the server's account and an environment in which only what we say counts.
pub(crate) fn prepare(command: &mut Command, account: Option<&Account>) {
    command.env_clear().current_dir("/").stdin(Stdio::null());
    for name in [
        "PATH",
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        "DYLD_FALLBACK_LIBRARY_PATH",
        "TZ",
    ] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    // Messages in English, and on macOS a locale must be set for the server to start at all.
    command.env("LC_ALL", "C");
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
}

/// What `postmaster.pid` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Postmaster {
    /// The process.
    pub(crate) pid: u32,
    /// Whether it accepts connections.
    pub(crate) is_ready: bool,
}

/// Reads `postmaster.pid` of a data folder; `None` when there is none, or it is being written.
pub(crate) fn postmaster(data: &Path) -> Option<Postmaster> {
    let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let mut lines = text.lines();
    let pid = lines.next()?.trim().parse().ok()?;
    Some(Postmaster {
        pid,
        is_ready: lines.nth(6).is_some_and(|line| line.trim() == "ready"),
    })
}

/// Whether a process is the postmaster of a data folder: after a crash its number may be somebody else's.
pub(crate) async fn is_postmaster_of(pid: u32, data: &Path) -> bool {
    let data = data.as_os_str().as_encoded_bytes();
    let contains = |line: &[u8]| line.windows(data.len().max(1)).any(|window| window == data);
    let procfs = Path::new("/proc");
    if procfs.join("self").exists() {
        return fs::read(procfs.join(pid.to_string()).join("cmdline"))
            .is_ok_and(|line| contains(&line));
    }
    let output = Command::new("ps")
        .args(["-ww", "-o", "args=", "-p"])
        .arg(pid.to_string())
        .output()
        .await;
    output.is_ok_and(|output| contains(&output.stdout))
}

/// Stops a server from outside, whoever uses it.
pub(crate) async fn stop_server(pid: u32, data: &Path) -> Result<(), Error> {
    for (signal, patience) in [("INT", 100), ("QUIT", 50), ("KILL", 50)] {
        // `kill` fails when the process has just gone; the loop below sees that.
        let _ = Command::new("sh")
            .arg("-c")
            .arg(format!("kill -{signal} {pid}"))
            .output()
            .await;
        for _ in 0..patience {
            if !is_postmaster_of(pid, data).await {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Err(Error::new(
        ErrorKind::Native,
        format!("PostgreSQL with process number {pid} does not stop; end it by hand"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pid_file_is_read() {
        let folder = std::env::temp_dir().join(format!("underlay-pid-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let check = |text: &str, expected: Option<Postmaster>| {
            fs::write(folder.join("postmaster.pid"), text).unwrap();
            assert_eq!(postmaster(&folder), expected, "{text:?}");
        };
        let head = "4711\n/data\n1700000000\n5432\n/run\n\n  123 456\n";
        check("", None);
        check(
            "4711\n",
            Some(Postmaster {
                pid: 4711,
                is_ready: false,
            }),
        );
        check(
            &format!("{head}starting\n"),
            Some(Postmaster {
                pid: 4711,
                is_ready: false,
            }),
        );
        check(
            &format!("{head}ready   \n"),
            Some(Postmaster {
                pid: 4711,
                is_ready: true,
            }),
        );
        fs::remove_dir_all(&folder).unwrap();
    }
}
