//! A program under test as a process: how it is built, started, listened to, stopped and killed.
//!
//! It ends with its owner, however the test ends. Nothing that it says may hold a password: every password of these
//! tests contains [`HIDDEN`], and its output is searched for it.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, OnceLock},
    thread,
    time::{Duration, Instant},
};

use crate::{
    folder::Folder,
    http::{self, Answer},
    text,
};

/// How long anything may take before its absence is a failure; the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// A part of every password and secret that a test sets.
pub(crate) const HIDDEN: &str = "hidden";

/// The shop, built as `cargo run -p shop` builds it.
pub(crate) fn shop() -> &'static Path {
    static SHOP: OnceLock<Option<PathBuf>> = OnceLock::new();
    let shop = SHOP.get_or_init(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args([
            "build",
            "--message-format=json-render-diagnostics",
            "-p",
            "shop",
        ]);
        let output = cargo
            .current_dir(repository())
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        if !output.status.success() {
            return None;
        }
        let messages = String::from_utf8(output.stdout).unwrap();
        let messages = messages
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        messages
            .filter_map(|it| it["executable"].as_str().map(PathBuf::from))
            .next_back()
    });
    shop.as_deref().expect("the shop does not build")
}

/// The root of this repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// How to start a program.
pub(crate) struct Start<'a> {
    folder: &'a Folder,
    program: PathBuf,
    /// A program with its arguments that is to run the other.
    wrapper: Vec<OsString>,
    variables: BTreeMap<String, OsString>,
}

impl<'a> Start<'a> {
    /// A program in a checkout, on any free port and where no Docker is. Its environment is only what is said here.
    pub(crate) fn new(folder: &'a Folder, program: &Path) -> Self {
        let kept = ["PATH", "HOME", "TMPDIR"].into_iter();
        let kept = kept.filter_map(|name| env::var_os(name).map(|value| (name.to_owned(), value)));
        let start = Self {
            folder,
            program: program.to_owned(),
            wrapper: Vec::new(),
            variables: kept.collect(),
        };
        start
            .with("NO_COLOR", "1")
            .with("UNDERLAY_LISTEN", "127.0.0.1:0")
            .with("DOCKER_HOST", format!("unix://{}", folder.nowhere()))
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.variables.remove(name);
        self
    }

    /// Has the program run by another one, which becomes it.
    pub(crate) fn wrapped(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(OsString::from).collect();
        self
    }

    /// A copy of the program inside the checkout, where other users may read it.
    pub(crate) fn copied(mut self) -> Self {
        let copy = self.folder.path("program");
        std::fs::copy(&self.program, &copy).unwrap();
        self.program = copy;
        self
    }

    /// Starts it without waiting for anything.
    pub(crate) fn spawn(self) -> Application<'a> {
        let mut command = match self.wrapper.split_first() {
            None => Command::new(&self.program),
            Some((wrapper, arguments)) => {
                let mut command = Command::new(wrapper);
                command.args(arguments).arg(&self.program);
                command
            }
        };
        command
            .env_clear()
            .envs(&self.variables)
            .current_dir(self.folder.root());
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = Arc::new(Output::default());
        Output::collect(&output, child.stdout.take().unwrap());
        Output::collect(&output, child.stderr.take().unwrap());
        Application {
            folder: self.folder,
            child,
            output,
            address: None,
        }
    }

    /// Starts it and waits until it listens.
    pub(crate) fn serve(self) -> Application<'a> {
        let mut application = self.spawn();
        let line = application.line("listening on http://");
        let (_, address) = line.rsplit_once("http://").unwrap();
        application.address = Some(address.parse().unwrap());
        application.line("ready in ");
        application
    }

    /// Starts it and expects that it refuses: its one error, in the form for expectations.
    pub(crate) fn refusal(self) -> String {
        let ended = self.spawn().ended();
        assert_eq!(ended.status.code(), Some(2), "{}", ended.output);
        assert_eq!(
            ended.output.matches("error: ").count(),
            1,
            "one error, not several: {}",
            ended.output
        );
        let (_, error) = ended.plain.split_once("error: ").unwrap();
        error.to_owned()
    }
}

/// What a process has printed so far.
#[derive(Default)]
struct Output {
    state: Mutex<Printed>,
    news: Condvar,
}

#[derive(Default)]
struct Printed {
    lines: Vec<String>,
    /// How many of the two streams have ended.
    ended: usize,
}

impl Output {
    fn collect(output: &Arc<Self>, stream: impl Read + Send + 'static) {
        let output = Arc::clone(output);
        thread::spawn(move || {
            for line in BufReader::new(stream).lines() {
                let Ok(line) = line else { break };
                output.state.lock().unwrap().lines.push(line);
                output.news.notify_all();
            }
            output.state.lock().unwrap().ended += 1;
            output.news.notify_all();
        });
    }

    /// Waits until something is found in what was printed; `None` if it never will be.
    fn wait<T>(&self, mut find: impl FnMut(&Printed) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.state.lock().unwrap();
        loop {
            if let Some(found) = find(&state) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.ended == 2 || left.is_zero() {
                return None;
            }
            state = self.news.wait_timeout(state, left).unwrap().0;
        }
    }

    fn text(&self) -> String {
        self.state.lock().unwrap().lines.join("\n")
    }
}

/// A process that was started.
pub(crate) struct Application<'a> {
    folder: &'a Folder,
    child: Child,
    output: Arc<Output>,
    address: Option<SocketAddr>,
}

/// How a process has ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// All that it printed.
    pub(crate) output: String,
    /// The same in the form for expectations.
    pub(crate) plain: String,
}

impl Application<'_> {
    /// Waits for a line with this text.
    #[track_caller]
    pub(crate) fn line(&self, part: &str) -> String {
        let find = |printed: &Printed| {
            printed
                .lines
                .iter()
                .find(|line| line.contains(part))
                .cloned()
        };
        self.output
            .wait(find)
            .unwrap_or_else(|| panic!("`{part}` was not printed:\n{}", self.output.text()))
    }

    /// All that it has printed so far, in the form for expectations.
    pub(crate) fn plain(&self) -> String {
        text::plain(&self.output.text(), self.folder)
    }

    /// All that it has printed so far.
    pub(crate) fn output(&self) -> String {
        self.output.text()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
            .expect("only an application that serves has an address")
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        http::call(self.address(), "GET", path, None)
    }

    pub(crate) fn post(&self, path: &str, body: serde_json::Value) -> Answer {
        http::call(self.address(), "POST", path, Some(body))
    }

    /// Sends it a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Kills it and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it has ended and everything that it printed is read.
    #[track_caller]
    pub(crate) fn ended(mut self) -> Ended {
        let status = eventually("the process ends", || self.child.try_wait().unwrap());
        let is_read = self
            .output
            .wait(|printed| (printed.ended == 2).then_some(()));
        let output = self.output.text();
        assert!(
            is_read.is_some(),
            "something that it started keeps its output open:\n{output}"
        );
        Ended {
            status,
            plain: text::plain(&output, self.folder),
            output,
        }
    }

    /// Asks it to stop, and waits until it has stopped as it should.
    #[track_caller]
    pub(crate) fn stop(self) -> Ended {
        self.signal("TERM");
        let ended = self.ended();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.output);
        ended
    }
}

impl Drop for Application<'_> {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.signal("TERM");
            let ended = within(Duration::from_secs(20), || {
                self.child.try_wait().transpose()
            });
            if ended.is_none() {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
        let output = self.output.text();
        if thread::panicking() {
            println!("--- the application printed:\n{output}\n---");
        } else {
            assert!(
                !output.contains(HIDDEN),
                "a password was printed:\n{output}"
            );
        }
    }
}

/// Sends a signal to a process that the test has started.
pub(crate) fn signal(pid: u32, name: &str) {
    // The shell's own `kill`: a bare machine may not have the program.
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!("kill -{name} {pid}"))
        .status()
        .unwrap();
    assert!(status.success(), "process {pid} could not be sent {name}");
}

/// Looks until something is there, and fails when it is not in time.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, look).unwrap_or_else(|| panic!("not so within {PATIENCE:?}: {what}"))
}

/// Looks until something is there; `None` when it is not in time.
pub(crate) fn within<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() > deadline {
            return None;
        }
        thread::sleep(Duration::from_millis(10));
    }
}
