//! A PostgreSQL server that a test owns: made, started, killed and started again by hand, as a server in production is
//! that Underlay has not started. Other files know what is done with it.

use std::{
    cell::RefCell,
    fs,
    net::TcpListener,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use crate::{
    application::{PATIENCE, signal, within},
    folder::Folder,
    servers::installed,
};

/// The user that servers run as where the tests run as root, which PostgreSQL refuses.
const NOBODY: u32 = 65534;

/// A server in a folder of the test's checkout. It ends with its owner.
pub(crate) struct PlainServer {
    bin: PathBuf,
    pub(crate) home: PathBuf,
    pub(crate) port: u16,
    settings: Vec<String>,
    child: RefCell<Option<Child>>,
}

impl PlainServer {
    /// Creates a cluster with the superuser `postgres`, whom everybody on this machine is who says so, and starts it.
    pub(crate) fn new(folder: &Folder, name: &str, settings: &[&str]) -> Self {
        let server = Self::stopped(folder, name, settings);
        let data = server.home.join("data");
        let made = server
            .command("initdb")
            .args([
                "--auth=trust",
                "--username=postgres",
                "--no-sync",
                "--pgdata",
            ])
            .arg(&data)
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        server
    }

    /// A place for a server, whose `data` is not made yet.
    pub(crate) fn stopped(folder: &Folder, name: &str, settings: &[&str]) -> Self {
        let home = folder.path(name);
        fs::create_dir(&home).unwrap();
        // Its own folder and those above it must be passable for the user that it runs as.
        fs::set_permissions(folder.root(), fs::Permissions::from_mode(0o755)).unwrap();
        let server = Self {
            bin: installed().unwrap(),
            home,
            port: free_port(),
            settings: settings.iter().map(|it| (*it).to_owned()).collect(),
            child: RefCell::new(None),
        };
        if is_root() {
            std::os::unix::fs::chown(&server.home, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        server
    }

    /// A program of this server's installation, as the user that the server runs as.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.current_dir(&self.home).stdin(Stdio::null());
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// A program that connects to this server as its superuser.
    pub(crate) fn client(&self, program: &str) -> Command {
        let mut command = self.command(program);
        command.arg("-h").arg(&self.home);
        command.args(["-p", &self.port.to_string(), "-U", "postgres"]);
        command
    }

    /// As `sql_servers[].host`: its socket.
    pub(crate) fn socket(&self) -> String {
        format!("{}:{}", self.home.display(), self.port)
    }

    /// Starts it and waits until it answers.
    pub(crate) fn start(&self) {
        let started = within(PATIENCE, || {
            // Until what a killed server has left is gone, the start fails.
            let mut command = self.command("postgres");
            command.arg("-D").arg(self.home.join("data"));
            command.arg("-k").arg(&self.home);
            command.args([
                "-p",
                &self.port.to_string(),
                "-c",
                "listen_addresses=127.0.0.1",
            ]);
            for setting in &self.settings {
                command.args(["-c", setting]);
            }
            let log = fs::File::create(self.home.join("log")).unwrap();
            let mut child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
            let answers = within(PATIENCE, || match child.try_wait().unwrap() {
                Some(_) => Some(false),
                None => self.psql("SELECT 1").ok().map(|_| true),
            });
            if answers == Some(true) {
                *self.child.borrow_mut() = Some(child);
                return Some(());
            }
            let _ = child.kill();
            let _ = child.wait();
            None
        });
        if started.is_none() {
            let log = fs::read_to_string(self.home.join("log")).unwrap_or_default();
            panic!("the server does not start:\n{log}");
        }
    }

    /// Kills it, so that it cannot say goodbye to anybody.
    pub(crate) fn kill(&self) {
        let mut child = self.child.borrow_mut().take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// What a statement in the database `postgres` answers, as the superuser.
    pub(crate) fn psql(&self, sql: &str) -> Result<String, String> {
        self.psql_in("postgres", sql)
    }

    /// What a statement answers, as the superuser.
    pub(crate) fn psql_in(&self, database: &str, sql: &str) -> Result<String, String> {
        let output = self
            .client("psql")
            .args(["-d", database])
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql])
            .output()
            .unwrap();
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}

impl Drop for PlainServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.borrow_mut().take() {
            signal(child.id(), "QUIT");
            let _ = child.wait();
        }
    }
}

fn is_root() -> bool {
    // The owner of our own process's folder.
    use std::os::unix::fs::MetadataExt as _;

    fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0)
}

/// A port that nobody listens on now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
