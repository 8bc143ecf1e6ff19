//! What the provisioner tells, on standard error: bars on a terminal, else one line per thing worth a line.

use std::{
    collections::HashMap,
    io::{IsTerminal, Write},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use underlay_local::{Event, Reporter};

/// Shows events to people.
pub(crate) struct Progress {
    is_terminal: bool,
    bars: MultiProgress,
    /// What is in progress, by what it is.
    open: Mutex<HashMap<String, ProgressBar>>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            is_terminal: std::io::stderr().is_terminal(),
            bars: MultiProgress::new(),
            open: Mutex::default(),
        }
    }

    fn line(&self, line: &str) {
        self.bars.suspend(|| {
            let _ = writeln!(anstream::stderr(), "{line}");
        });
    }

    fn progress(&self, what: &str, done: u64, total: Option<u64>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = open.entry(what.to_owned()).or_insert_with(|| {
            if self.is_terminal {
                let style =
                    ProgressStyle::with_template("{msg} {wide_bar} {percent:>3} % {elapsed}");
                let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
                self.bars.add(
                    ProgressBar::no_length()
                        .with_style(style)
                        .with_message(what.to_owned()),
                )
            } else {
                self.line(&format!("{what} …"));
                ProgressBar::hidden()
            }
        });
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.set_position(done);
    }
}

impl Reporter for Progress {
    fn report(&self, event: Event<'_>) {
        match event {
            Event::Chosen { line } => self.line(line),
            Event::Notice { message } => self.line(message),
            Event::Progress { what, done, total } => self.progress(what, done, total),
            Event::ProgressEnd { what } => {
                let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(bar) = open.remove(what) {
                    bar.finish_and_clear();
                }
            }
            Event::Waiting { cause, elapsed } if is_worth_a_line(elapsed) => {
                self.line(&format!("waiting for {} s: {cause}", elapsed.as_secs()));
            }
            _ => {}
        }
    }
}

/// After a second, and then every ten.
fn is_worth_a_line(elapsed: Duration) -> bool {
    elapsed.as_secs() == 1 || elapsed.as_secs().is_multiple_of(10)
}
