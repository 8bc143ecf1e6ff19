//! A workspace that a test writes, and what `cargo underlay` says of it. Knows no test.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::program::{self, Outcome};

/// A workspace in a folder of its own, whose servers go with it.
pub(crate) struct Project {
    pub(crate) root: PathBuf,
}

/// A database with two migrations, in an application that does not compile.
pub(crate) const SHOP: [(&str, &str); 5] = [
    (
        "Cargo.toml",
        "[package]\nname = 'shop'\nversion = '0.1.0'\nedition = '2024'\n[workspace]\n",
    ),
    (
        "src/main.rs",
        "#[database(\"orders\", migrations = \"migrations\")]\nstatic ORDERS: Database;\nfn main() { nothing() }\n",
    ),
    (
        "migrations/1_orders.up.sql",
        "CREATE TABLE orders (id bigint PRIMARY KEY);\n",
    ),
    ("migrations/1_orders.down.sql", "DROP TABLE orders;\n"),
    (
        "migrations/2_note.up.sql",
        "ALTER TABLE orders ADD note text;\n",
    ),
];

impl Project {
    pub(crate) fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("db").join(name);
        if root.exists() {
            fs::remove_dir_all(&root).unwrap();
        }
        let project = Self { root };
        project.write("underlay.toml", "[postgres]\nuse = 'native'\n");
        for (path, text) in files {
            project.write(path, text);
        }
        project
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.root.join(path)).unwrap();
    }

    /// `cargo underlay db`, away from terminals, from the network, and from what this environment says.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program::command();
        command
            .args(arguments)
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", self.root.join("target"));
        command
    }

    /// Runs a subcommand of `db`.
    pub(crate) fn db(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.command(&[&["db"], arguments].concat()))
    }

    /// Standard output of a subcommand of `db` that must do what it is asked.
    #[track_caller]
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        self.db(arguments).done()
    }

    /// The messages of a subcommand of `db` that must fail.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32, arguments: &[&str]) -> Vec<String> {
        let problems = self.db(&[arguments, &["--json"]].concat()).json(code);
        let problems = problems.as_array().unwrap().iter();
        problems
            .map(|it| it["message"].as_str().unwrap().to_owned())
            .collect()
    }

    /// What a query in the shell gives, without headings.
    #[track_caller]
    pub(crate) fn ask(&self, options: &[&str], query: &str) -> String {
        let arguments = [&["shell"], options, &["--", "-XAtc", query]].concat();
        self.done(&arguments).trim().to_owned()
    }

    /// Keeps a server running, and forwards a port to it.
    pub(crate) fn proxy(&self, arguments: &[&str]) -> Proxy {
        let mut command = self.command(&[&["db", "proxy"], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut uri = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        lines.read_line(&mut uri).unwrap();
        Proxy {
            child,
            uri: uri.trim().to_owned(),
        }
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let reset = Outcome::of(self.command(&["reset", "--yes"]));
            assert_eq!(reset.code, Some(0), "{}", reset.stderr);
            fs::remove_dir_all(&self.root).unwrap();
        }
    }
}

/// A running `cargo underlay db proxy`.
pub(crate) struct Proxy {
    child: Child,
    pub(crate) uri: String,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
