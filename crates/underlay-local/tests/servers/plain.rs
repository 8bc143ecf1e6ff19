//! A PostgreSQL server as a user may have one: with passwords, and nothing in it of ours.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::{Child, Command, Stdio},
};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::{
    application::{Folder, NOBODY, eventually, output},
    native,
};

/// The role that URLs have by default: it may create roles and databases, and is no superuser, as in a cloud.
pub(crate) const ROLE: &str = "dev";

/// A server for one test.
pub(crate) struct Plain {
    folder: Folder,
    server: Child,
}

impl Plain {
    pub(crate) fn new() -> Self {
        let folder = Folder::new();
        let root = &folder.checkout.root;
        let bin = native::installed().unwrap();
        let (data, passwords) = (root.join("data"), root.join("superuser"));
        fs::write(&passwords, "superuser").unwrap();
        let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
        if is_root {
            chown(root, Some(NOBODY), Some(NOBODY)).unwrap();
            fs::set_permissions(&passwords, fs::Permissions::from_mode(0o644)).unwrap();
        }
        let command = |program: &str| {
            let mut command = Command::new(bin.join(program));
            command.current_dir("/").env("LC_ALL", "C");
            command.stdout(Stdio::null()).stderr(Stdio::null());
            if is_root {
                command.uid(NOBODY).gid(NOBODY);
            }
            command
        };
        let status = command("initdb")
            .args(["--username=superuser", "--auth=scram-sha-256", "--no-sync"])
            .arg(format!("--pwfile={}", passwords.display()))
            .arg("-D")
            .arg(&data)
            .status()
            .unwrap();
        assert!(status.success());
        let server = command("postgres")
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-k"])
            .arg(root)
            .spawn()
            .unwrap();
        let plain = Self { folder, server };
        let create = format!("CREATE ROLE {ROLE} LOGIN CREATEDB CREATEROLE PASSWORD '{ROLE}'");
        eventually("the user's server takes connections", || {
            plain.try_run("postgres", &create).is_ok()
        });
        plain
    }

    /// The URL of a role whose password is its name.
    pub(crate) fn url(&self, role: &str) -> String {
        let folder = self.folder.checkout.root.display();
        format!("postgres://{role}:{role}@localhost/postgres?host={folder}")
    }

    /// The folder of its socket and of `data`.
    pub(crate) fn root(&self) -> &Path {
        &self.folder.checkout.root
    }

    /// Runs statements as the superuser.
    pub(crate) fn run(&self, database: &str, sql: &str) {
        self.try_run(database, sql).unwrap();
    }

    fn try_run(&self, database: &str, sql: &str) -> Result<(), sqlx::Error> {
        let url = self
            .url("superuser")
            .replace("/postgres?", &format!("/{database}?"));
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(async {
                let mut connection = PgConnection::connect(&url).await?;
                connection.execute(AssertSqlSafe(sql.to_owned())).await?;
                connection.close().await
            })
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        output("kill", &["-INT", &self.server.id().to_string()]);
        let _ = self.server.wait();
    }
}
