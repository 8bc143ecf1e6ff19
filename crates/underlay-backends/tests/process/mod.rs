//! A server or an emulator of a test program's own: a process that is up once it has said so, and that ends with its
//! handle.

use std::{
    io::{BufRead as _, BufReader, Read},
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// How long one may take to come up.
const START: Duration = Duration::from_secs(90);
/// How often one is started that ends before it is up, where somebody else may have been faster at its port.
const TRIES: usize = 3;

/// A process that ends with this.
pub(crate) struct Process(Child);

/// Why one did not come up.
pub(crate) struct NotUp {
    why: String,
    /// By itself; at another port it may not.
    has_ended: bool,
}

impl From<NotUp> for String {
    fn from(not_up: NotUp) -> Self {
        not_up.why
    }
}

impl Process {
    /// Starts it, and returns what `find` finds in a line that it prints.
    pub(crate) fn start<T>(
        command: &mut Command,
        mut find: impl FnMut(&str) -> Option<T>,
    ) -> Result<(Self, T), NotUp> {
        let name = command.get_program().to_string_lossy().into_owned();
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let process = process.map_err(|error| NotUp {
            why: format!("{name} does not start: {error}"),
            has_ended: false,
        })?;
        let mut process = Self(process);
        let lines = process.lines();
        let begun = Instant::now();
        let mut last = String::new();
        loop {
            match lines.recv_timeout(START.saturating_sub(begun.elapsed())) {
                Ok(line) => {
                    if let Some(found) = find(&line) {
                        return Ok((process, found));
                    }
                    if !line.trim().is_empty() {
                        last = line;
                    }
                }
                Err(error) => {
                    return Err(NotUp {
                        why: format!("{name} did not come up; it said last: {last}"),
                        has_ended: error == mpsc::RecvTimeoutError::Disconnected,
                    });
                }
            }
        }
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        // One that has ended by itself cannot be killed, and need not.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// What it says. It is read until its end: it would stand still otherwise.
    fn lines(&mut self) -> mpsc::Receiver<String> {
        let (sender, lines) = mpsc::channel();
        let output = self.0.stdout.take();
        let errors = self.0.stderr.take();
        let streams: [Option<Box<dyn Read + Send>>; 2] = [
            output.map(|it| Box::new(it) as _),
            errors.map(|it| Box::new(it) as _),
        ];
        for stream in streams.into_iter().flatten() {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    // Nobody listens any more once it is up.
                    let _ = sender.send(line);
                }
            });
        }
        lines
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts something that does not choose a port itself, at one that was free.
#[allow(dead_code, reason = "not every server needs it")]
pub(crate) fn at_a_free_port<T>(
    mut start: impl FnMut(u16) -> Result<T, NotUp>,
) -> Result<T, String> {
    let mut tries = 0;
    loop {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.map_err(|error| format!("there is no free port: {error}"))?;
        tries += 1;
        match start(port.port()) {
            Err(not_up) if not_up.has_ended && tries < TRIES => {}
            started => return started.map_err(String::from),
        }
    }
}
