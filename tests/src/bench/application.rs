//! A server program that a bench starts, watches from outside, and stops.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

/// How long a program may take to become ready, and to stop.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running program whose standard error is read. Dropping it kills it.
#[derive(Debug)]
pub struct Application {
    child: Child,
    begin: Instant,
    lines: Receiver<(Instant, String)>,
    said: Vec<String>,
}

impl Application {
    /// Starts it; time counts from here.
    ///
    /// # Errors
    ///
    /// When the program cannot be started.
    pub fn start(command: &mut Command) -> Result<Self, String> {
        command
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let begin = Instant::now();
        let mut child = command.spawn().map_err(|error| {
            let program = command.get_program().to_string_lossy();
            format!("`{program}` could not be started: {error}")
        })?;
        let (sender, lines) = mpsc::channel();
        let error = child.stderr.take();
        // It ends with the program's standard error.
        thread::spawn(move || {
            let Some(error) = error else { return };
            for line in BufReader::new(error).lines().map_while(Result::ok) {
                let _ = sender.send((Instant::now(), line));
            }
        });
        Ok(Self {
            child,
            begin,
            lines,
            said: Vec::new(),
        })
    }

    /// When it was started.
    pub fn begin(&self) -> Instant {
        self.begin
    }

    /// Waits for a line that contains this text; returns how long after the start it came, and the line.
    ///
    /// # Errors
    ///
    /// When the program ends without saying it, or takes too long: with all that it said.
    pub fn wait_for(&mut self, text: &str) -> Result<(Duration, String), String> {
        loop {
            let left = PATIENCE.saturating_sub(self.begin.elapsed());
            match self.lines.recv_timeout(left) {
                Ok((at, line)) => {
                    self.said.push(line.clone());
                    if line.contains(text) {
                        return Ok((at.duration_since(self.begin), line));
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(self.complaint(&format!("did not say `{text}` in {PATIENCE:?}")));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.complaint(&format!("ended without saying `{text}`")));
                }
            }
        }
    }

    /// What it said until now.
    pub fn said(&self) -> &[String] {
        &self.said
    }

    fn complaint(&self, what: &str) -> String {
        format!("the program {what}; it said:\n{}", self.said.join("\n"))
    }

    /// Stops it as a terminal or a container does, and waits for its end.
    ///
    /// # Errors
    ///
    /// When it does not end, or not well.
    pub fn stop(mut self) -> Result<(), String> {
        terminate(self.child.id())?;
        let begin = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => {
                    self.said
                        .extend(self.lines.try_iter().map(|(_, line)| line));
                    return Err(self.complaint(&format!("ended badly ({status})")));
                }
                Ok(None) if begin.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(2)),
                Ok(None) => return Err(self.complaint("did not stop")),
                Err(error) => return Err(self.complaint(&format!("cannot be awaited: {error}"))),
            }
        }
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks a process to end.
///
/// # Errors
///
/// When there is no such process, or no such signal on this system.
#[cfg(unix)]
pub fn terminate(process: u32) -> Result<(), String> {
    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };

    let id = i32::try_from(process).map_err(|error| format!("process {process}: {error}"))?;
    kill(Pid::from_raw(id), Signal::SIGTERM)
        .map_err(|error| format!("process {process} cannot be stopped: {error}"))
}

/// Asks a process to end.
///
/// # Errors
///
/// Always: this system has no such signal.
#[cfg(not(unix))]
pub fn terminate(process: u32) -> Result<(), String> {
    Err(format!(
        "process {process} cannot be asked to end: this system has no SIGTERM"
    ))
}

/// A port on loopback that nobody listens on at the moment.
///
/// # Errors
///
/// When the system has none.
pub fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address
        .map(|address| address.port())
        .map_err(|error| format!("there is no free port: {error}"))
}

/// Asks for `path` until the answer is 200; returns how long after `begin` that was.
///
/// # Errors
///
/// When that takes too long, with the last answer.
pub fn answered(begin: Instant, port: u16, path: &str) -> Result<Duration, String> {
    let mut last = String::from("nobody listens");
    while begin.elapsed() < PATIENCE {
        match ask(port, path) {
            Ok(status) if status.contains(" 200 ") => return Ok(begin.elapsed()),
            Ok(status) => last = status,
            Err(error) => last = error.to_string(),
        }
        thread::sleep(Duration::from_micros(500));
    }
    Err(format!("no good answer from port {port}: {last}"))
}

/// The status line of the answer.
fn ask(port: u16, path: &str) -> std::io::Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}
