//! Progress bars on a terminal. They are behind a feature, because an application does without their dependencies.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::report::{Event, Reporter};

/// A reporter that shows progress and waits as bars on standard error, and gives every other event to `inner`.
///
/// Where standard error is no terminal, `inner` gets all events.
#[derive(Debug)]
pub struct Bars<R> {
    inner: R,
    bars: MultiProgress,
    shown: Mutex<HashMap<String, ProgressBar>>,
}

impl<R: Reporter> Bars<R> {
    /// Bars on standard error, over `inner`.
    pub fn new(inner: R) -> Self {
        Self::on(ProgressDrawTarget::stderr(), inner)
    }

    fn on(target: ProgressDrawTarget, inner: R) -> Self {
        Self {
            inner,
            bars: MultiProgress::with_draw_target(target),
            shown: Mutex::default(),
        }
    }

    fn show(&self, what: &str, done: u64, total: Option<u64>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = shown.entry(what.to_owned()).or_insert_with(|| {
            let bar = self.bars.add(ProgressBar::no_length());
            bar.set_message(what.to_owned());
            bar
        });
        let template = match total {
            Some(total) => {
                bar.set_length(total);
                "{msg} {wide_bar} {bytes} of {total_bytes}"
            }
            None => "{msg} {spinner} {bytes}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_position(done);
    }

    fn hide(&self, what: &str) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = shown.remove(what) {
            bar.finish_and_clear();
        }
    }
}

impl<R: Reporter> Reporter for Bars<R> {
    fn report(&self, event: Event<'_>) {
        if self.bars.is_hidden() {
            self.inner.report(event);
            return;
        }
        match event {
            Event::Progress { what, done, total } => self.show(what, done, total),
            Event::ProgressEnd { what } => self.hide(what),
            // What has a bar already needs no second line about the wait for it.
            Event::Waiting { cause, elapsed } => {
                let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
                match shown.get(cause) {
                    Some(bar) => bar.set_message(format!("{cause} ({})", HumanDuration(elapsed))),
                    None => self.bars.suspend(|| self.inner.report(event)),
                }
            }
            _ => self.bars.suspend(|| self.inner.report(event)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use indicatif::{InMemoryTerm, TermLike};

    use super::*;

    #[derive(Default)]
    struct Recorder(Mutex<Vec<String>>);

    impl Reporter for Recorder {
        fn report(&self, event: Event<'_>) {
            self.0.lock().unwrap().push(format!("{event:?}"));
        }
    }

    const PULL: &str = "pulling postgres:17";

    fn tell(bars: &Bars<Recorder>) {
        bars.report(Event::Progress {
            what: PULL,
            done: 512,
            total: Some(1024),
        });
        bars.report(Event::Notice {
            message: "a notice",
        });
    }

    #[test]
    fn a_terminal_gets_bars_and_the_rest_goes_on() {
        let terminal = InMemoryTerm::new(10, 80);
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(terminal.clone()), 250);
        let bars = Bars::on(target, Recorder::default());
        tell(&bars);
        bars.report(Event::Waiting {
            cause: PULL,
            elapsed: Duration::from_secs(1),
        });
        let screen = terminal.contents();
        assert!(screen.starts_with("pulling postgres:17"), "{screen}");
        assert!(screen.ends_with("512 B of 1.00 KiB"), "{screen}");
        bars.report(Event::ProgressEnd { what: PULL });
        assert_eq!(terminal.contents(), "");
        assert_eq!(terminal.width(), 80);
        assert_eq!(
            *bars.inner.0.lock().unwrap(),
            ["Notice { message: \"a notice\" }"]
        );
    }

    #[test]
    fn without_a_terminal_everything_goes_on() {
        let bars = Bars::on(ProgressDrawTarget::hidden(), Recorder::default());
        tell(&bars);
        assert_eq!(bars.inner.0.lock().unwrap().len(), 2);
    }
}
