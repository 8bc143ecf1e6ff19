//! What the provisioner tells, on standard error: bars on a terminal, else one line per thing worth a line.

use std::{
    collections::HashSet,
    io::Write,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use underlay_local::{Bars, Event, Reporter};

/// A reporter for people.
pub(crate) fn progress() -> Bars<Lines> {
    Bars::new(Lines::default())
}

/// A reporter for people who were told already which server was chosen.
pub(crate) fn further_progress() -> Bars<Lines> {
    Bars::new(Lines {
        knows_choice: true,
        ..Lines::default()
    })
}

/// Shows events as lines.
#[derive(Default)]
pub(crate) struct Lines {
    knows_choice: bool,
    /// What is in progress and has been told.
    told: Mutex<HashSet<String>>,
}

impl Reporter for Lines {
    fn report(&self, event: Event<'_>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let line = match event {
            Event::Chosen { .. } if self.knows_choice => return,
            Event::Chosen { line } => line.to_owned(),
            Event::Notice { message } => message.to_owned(),
            Event::Progress { what, .. } if told.insert(what.to_owned()) => format!("{what} …"),
            Event::ProgressEnd { what } => {
                told.remove(what);
                return;
            }
            Event::Waiting { cause, elapsed } if is_worth_a_line(elapsed) => {
                format!("waiting for {} s: {cause}", elapsed.as_secs())
            }
            _ => return,
        };
        let _ = writeln!(anstream::stderr(), "{line}");
    }
}

/// After a second, and then every ten.
fn is_worth_a_line(elapsed: Duration) -> bool {
    elapsed.as_secs() == 1 || elapsed.as_secs().is_multiple_of(10)
}
