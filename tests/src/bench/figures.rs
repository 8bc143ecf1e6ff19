//! Figures: medians with their spread, units, and the table they are printed in.

use std::time::Duration;

/// Some measurements of one thing.
#[derive(Debug, Clone, Default)]
pub struct Spread(Vec<Duration>);

impl Spread {
    /// Adds a measurement.
    pub fn add(&mut self, time: Duration) {
        let at = self.0.partition_point(|it| *it <= time);
        self.0.insert(at, time);
    }

    /// The middle one; zero if there is none.
    pub fn median(&self) -> Duration {
        self.0.get(self.0.len() / 2).copied().unwrap_or_default()
    }

    /// The smallest one: what the thing costs when nothing else is in the way; zero if there is none.
    pub fn least(&self) -> Duration {
        self.0.first().copied().unwrap_or_default()
    }

    /// The median with the least and the greatest, in milliseconds.
    pub fn text(&self) -> String {
        let greatest = self.0.last().copied().unwrap_or_default();
        format!(
            "{} ({:.0}–{:.0})",
            milliseconds(self.median()),
            in_milliseconds(self.least()),
            in_milliseconds(greatest)
        )
    }
}

fn in_milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// A time in milliseconds.
pub fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", in_milliseconds(time))
}

/// A time in seconds.
pub fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// A size in bytes, with the thousands apart.
pub fn bytes(size: u64) -> String {
    format!("{} B", count(size))
}

/// A number, with the thousands apart.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// How many times the second the first is.
pub fn ratio(ours: f64, bare: f64) -> String {
    if bare > 0.0 {
        format!("{:.2}", ours / bare)
    } else {
        "–".to_owned()
    }
}

/// Rows of figures, each beside its baseline.
#[derive(Debug, Default)]
pub struct Table {
    title: String,
    rows: Vec<[String; 4]>,
}

impl Table {
    /// An empty table.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            rows: Vec::new(),
        }
    }

    /// Adds figures that are written already.
    pub fn row(
        &mut self,
        what: impl Into<String>,
        ours: impl Into<String>,
        bare: impl Into<String>,
        ratio: impl Into<String>,
    ) {
        self.rows
            .push([what.into(), ours.into(), bare.into(), ratio.into()]);
    }

    /// Adds two spreads, compared by their medians.
    pub fn spreads(&mut self, what: impl Into<String>, ours: &Spread, bare: &Spread) {
        let quotient = ratio(ours.median().as_secs_f64(), bare.median().as_secs_f64());
        self.row(what, ours.text(), bare.text(), quotient);
    }

    /// Adds two times, in seconds.
    pub fn times(&mut self, what: impl Into<String>, ours: Duration, bare: Duration) {
        let quotient = ratio(ours.as_secs_f64(), bare.as_secs_f64());
        self.row(what, seconds(ours), seconds(bare), quotient);
    }

    /// Says of something that it was not measured, and why.
    pub fn not_measured(&mut self, what: impl Into<String>, why: impl std::fmt::Display) {
        self.row(what, format!("not measured: {why}"), "", "");
    }

    /// Prints the table.
    #[allow(
        clippy::print_stdout,
        reason = "a bench is a command; printing is its output"
    )]
    pub fn print(&self) {
        print!("{self}");
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let header = [self.title.as_str(), "underlay", "bare", "ratio"].map(str::to_owned);
        let rows = || std::iter::once(&header).chain(&self.rows);
        let cell_width = |cells: &[String; 4], column: usize| match column {
            // A reason may run over the columns that it leaves empty.
            1 if cells[2].is_empty() => 0,
            _ => cells[column].chars().count(),
        };
        let widths: [usize; 4] = std::array::from_fn(|column| {
            rows()
                .map(|cells| cell_width(cells, column))
                .max()
                .unwrap_or_default()
        });
        writeln!(f)?;
        for cells in rows() {
            let [what, ours, bare, ratio] = cells;
            let line = format!(
                "{what:0$}   {ours:>1$}   {bare:>2$}   {ratio:>3$}",
                widths[0], widths[1], widths[2], widths[3]
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_do_not_depend_on_the_order() {
        let mut spread = Spread::default();
        assert_eq!(spread.median(), Duration::ZERO);
        for time in [5, 1, 4, 2, 3] {
            spread.add(Duration::from_millis(time));
        }
        assert_eq!(spread.median(), Duration::from_millis(3));
        assert_eq!(spread.least(), Duration::from_millis(1));
        assert_eq!(spread.text(), "3.0 ms (1–5)");
    }

    #[test]
    fn numbers_and_ratios() {
        for (number, expected) in [
            (0, "0"),
            (999, "999"),
            (1000, "1 000"),
            (1234567, "1 234 567"),
        ] {
            assert_eq!(count(number), expected);
        }
        assert_eq!(ratio(3.0, 2.0), "1.50");
        assert_eq!(ratio(3.0, 0.0), "–");
    }

    #[test]
    fn columns_stand_below_each_other() {
        let mut table = Table::new("title");
        table.times("a", Duration::from_secs(2), Duration::from_secs(1));
        table.not_measured("b", "there is nothing of the kind on this machine");
        let expected = "\ntitle   underlay     bare   ratio\n\
                        a         2.00 s   1.00 s    2.00\n\
                        b       not measured: there is nothing of the kind on this machine\n";
        assert_eq!(table.to_string(), expected);
    }
}
