//! Schedules of crons, in UTC: `every:1h`, aligned to midnight, or `schedule:0 9 * * 1`.
//!
//! This file says when a job runs next. It does not know what runs, nor read the clock.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{cron_expression, duration};

const MINUTES_PER_DAY: u64 = 24 * 60;

/// When a cron runs.
///
/// Its text in the model is `every:1h` or `schedule:0 9 * * 1`; [`FromStr`] and [`Display`](fmt::Display) read and
/// write it. Cron expressions can be read only with the feature `cron`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Every {
        minutes: u64,
    },
    #[cfg(feature = "cron")]
    Cron {
        expression: String,
        cron: Box<croner::Cron>,
    },
}

impl Schedule {
    /// A schedule that runs at midnight and then each time a period has passed, such as `10m`, `1h` or `1d`.
    ///
    /// # Errors
    ///
    /// One sentence, if the text is no duration, not whole minutes from one to 24 hours, or does not divide 24 hours;
    /// then it names the nearest that do.
    ///
    /// # Example
    ///
    /// ```
    /// use underlay_model::schedule::Schedule;
    ///
    /// assert_eq!(Schedule::every("60m").unwrap().to_string(), "every:1h");
    /// assert_eq!(
    ///     Schedule::every("7h").unwrap_err(),
    ///     "`7h` does not divide 24 hours evenly; the nearest that do are `6h` and `8h`",
    /// );
    /// ```
    pub fn every(text: &str) -> Result<Self, String> {
        let period = duration::parse(text)?;
        let millis = u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
        let minutes = millis / 60_000;
        let write = |minutes: u64| duration::format(Duration::from_secs(minutes * 60));
        if minutes == 0 {
            return Err(format!(
                "`{text}` is shorter than a minute; the shortest schedule is `1m`"
            ));
        }
        if millis > MINUTES_PER_DAY * 60_000 {
            return Err(format!(
                "`{text}` is longer than 24 hours; the longest schedule is `24h`"
            ));
        }
        let divides = |minutes: &u64| MINUTES_PER_DAY.is_multiple_of(*minutes);
        if !millis.is_multiple_of(60_000) || !divides(&minutes) {
            let problem = match millis.is_multiple_of(60_000) {
                true => "does not divide 24 hours evenly; the nearest that do",
                false => "is not a whole number of minutes; the nearest that can be used",
            };
            let below = (1..=minutes).rev().find(divides).unwrap_or(1);
            let above = (minutes + 1..=MINUTES_PER_DAY)
                .find(divides)
                .unwrap_or(MINUTES_PER_DAY);
            return Err(format!(
                "`{text}` {problem} are `{}` and `{}`",
                write(below),
                write(above)
            ));
        }
        Ok(Self {
            kind: Kind::Every { minutes },
        })
    }

    /// A schedule by a cron expression; see [`cron_expression`] for the rule.
    ///
    /// # Errors
    ///
    /// One sentence that says which field is wrong, and why.
    #[cfg(feature = "cron")]
    pub fn cron(expression: &str) -> Result<Self, String> {
        use croner::parser::{CronParser, Seconds, Year};

        cron_expression::check(expression)?;
        let expression = expression.split_whitespace().collect::<Vec<_>>().join(" ");
        let cron = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build()
            .parse(&expression)
            .map_err(|error| format!("cron expression `{expression}` cannot be used: {error}"))?;
        Ok(Self {
            kind: Kind::Cron {
                expression,
                cron: Box::new(cron),
            },
        })
    }

    /// The first time after `time` at which the job runs; `None` if the calendar ends before.
    pub fn next_after(&self, time: SystemTime) -> Option<SystemTime> {
        match &self.kind {
            Kind::Every { minutes } => next_multiple(time, minutes * 60),
            #[cfg(feature = "cron")]
            Kind::Cron { cron, .. } => {
                let timestamp = jiff::Timestamp::try_from(time).ok()?;
                let after = timestamp.to_zoned(jiff::tz::TimeZone::UTC);
                let next = cron.find_next_occurrence(&after, false).ok()?;
                Some(SystemTime::from(next.timestamp()))
            }
        }
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Every { minutes: a }, Self::Every { minutes: b }) => a == b,
            #[cfg(feature = "cron")]
            (Self::Cron { expression: a, .. }, Self::Cron { expression: b, .. }) => a == b,
            #[cfg(feature = "cron")]
            _ => false,
        }
    }
}

impl Eq for Kind {}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Every { minutes } => {
                write!(
                    f,
                    "every:{}",
                    duration::format(Duration::from_secs(minutes * 60))
                )
            }
            #[cfg(feature = "cron")]
            Kind::Cron { expression, .. } => write!(f, "schedule:{expression}"),
        }
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(period) = text.strip_prefix("every:") {
            Self::every(period)
        } else if let Some(expression) = text.strip_prefix("schedule:") {
            #[cfg(feature = "cron")]
            return Self::cron(expression);
            #[cfg(not(feature = "cron"))]
            return Err(cron_expression::check(expression).err().unwrap_or_else(|| {
                format!("cron expression `{expression}` needs the feature `cron`, which is off")
            }));
        } else {
            Err(format!(
                "schedule `{text}` starts with neither `every:` nor `schedule:`"
            ))
        }
    }
}

/// Checks a schedule's text in the model, whatever features are on.
///
/// # Errors
///
/// One sentence, as [`Schedule::every`] and [`cron_expression::check`] have it.
pub fn check(text: &str) -> Result<(), String> {
    match text.strip_prefix("schedule:") {
        Some(expression) => cron_expression::check(expression),
        None => Schedule::from_str(text).map(drop),
    }
}

/// The first multiple of `period` seconds since the epoch, a midnight, that is after `time`.
fn next_multiple(time: SystemTime, period: u64) -> Option<SystemTime> {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => {
            let next = (since.as_secs() / period)
                .checked_add(1)?
                .checked_mul(period)?;
            UNIX_EPOCH.checked_add(Duration::from_secs(next))
        }
        Err(error) => {
            // Before 1970: the multiple below, counted backwards, is the next one.
            let until = error.duration();
            let whole = until.as_secs() + u64::from(until.subsec_nanos() > 0);
            UNIX_EPOCH.checked_sub(Duration::from_secs((whole - 1) / period * period))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `2026-03-01T10:00:00` in UTC, for years from 1970 on.
    fn time(text: &str) -> SystemTime {
        let numbers: Vec<i64> = text
            .split(['-', 'T', ':'])
            .map(|it| it.parse().unwrap())
            .collect();
        let [year, month, day, hour, minute, second] = numbers.try_into().unwrap();
        // Days since the epoch, with years that start in March.
        let (year, month) = if month > 2 {
            (year, month - 3)
        } else {
            (year - 1, month + 9)
        };
        let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day
            - 1
            - 719_468;
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
        UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap())
    }

    #[test]
    fn every_divides_the_day() {
        let right: Vec<u64> = (1..=1500)
            .filter(|it| Schedule::every(&format!("{it}m")).is_ok())
            .collect();
        let divisors = [
            1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 15, 16, 18, 20, 24, 30, 32, 36, 40, 45, 48, 60, 72, 80,
            90, 96, 120, 144, 160, 180, 240, 288, 360, 480, 720, 1440,
        ];
        assert_eq!(right, divisors);
        for (text, expected) in [
            (
                "0s",
                "`0s` is shorter than a minute; the shortest schedule is `1m`",
            ),
            (
                "30s",
                "`30s` is shorter than a minute; the shortest schedule is `1m`",
            ),
            (
                "90s",
                "`90s` is not a whole number of minutes; the nearest that can be used are `1m` and `2m`",
            ),
            (
                "25h",
                "`25h` is longer than 24 hours; the longest schedule is `24h`",
            ),
            (
                "1d1ms",
                "`1d1ms` is longer than 24 hours; the longest schedule is `24h`",
            ),
            (
                "36500d",
                "`36500d` is longer than 24 hours; the longest schedule is `24h`",
            ),
            (
                "7h",
                "`7h` does not divide 24 hours evenly; the nearest that do are `6h` and `8h`",
            ),
            (
                "7m",
                "`7m` does not divide 24 hours evenly; the nearest that do are `6m` and `8m`",
            ),
            (
                "23h",
                "`23h` does not divide 24 hours evenly; the nearest that do are `12h` and `1d`",
            ),
            (
                "1.5h",
                "`1.5h` has a fraction; durations have whole numbers, try `1h30m`",
            ),
        ] {
            assert_eq!(Schedule::every(text), Err(expected.to_owned()));
        }
    }

    #[test]
    fn every_is_aligned_to_midnight() {
        for (text, after, expected) in [
            ("1h", "2026-03-01T10:00:00", "2026-03-01T11:00:00"),
            ("1h", "2026-03-01T10:59:59", "2026-03-01T11:00:00"),
            ("8h", "2026-03-01T17:00:01", "2026-03-02T00:00:00"),
            ("24h", "2026-02-28T00:00:00", "2026-03-01T00:00:00"),
            ("1m", "2027-12-31T23:59:30", "2028-01-01T00:00:00"),
        ] {
            let schedule = Schedule::every(text).unwrap();
            assert_eq!(
                schedule.next_after(time(after)),
                Some(time(expected)),
                "{text} {after}"
            );
        }
        let hourly = Schedule::every("1h").unwrap();
        let before = |seconds| UNIX_EPOCH - Duration::from_secs(seconds);
        assert_eq!(hourly.next_after(before(1)), Some(UNIX_EPOCH));
        assert_eq!(hourly.next_after(before(3600)), Some(UNIX_EPOCH));
        assert_eq!(hourly.next_after(before(3601)), Some(before(3600)));
        assert_eq!(
            hourly.next_after(UNIX_EPOCH - Duration::from_nanos(1)),
            Some(UNIX_EPOCH)
        );
        let almost = time("2026-03-01T10:00:00") - Duration::from_nanos(1);
        assert_eq!(hourly.next_after(almost), Some(time("2026-03-01T10:00:00")));
    }

    #[test]
    fn texts() {
        for (text, written) in [
            ("every:1h", "every:1h"),
            ("every:60m", "every:1h"),
            ("every:1d", "every:1d"),
        ] {
            assert_eq!(text.parse::<Schedule>().unwrap().to_string(), written);
        }
        for (text, expected) in [
            (
                "1h",
                "schedule `1h` starts with neither `every:` nor `schedule:`",
            ),
            (
                "every:7h",
                "`7h` does not divide 24 hours evenly; the nearest that do are `6h` and `8h`",
            ),
            (
                "schedule:0 0 31 2 *",
                "cron expression `0 0 31 2 *` never runs: there is no date that it means",
            ),
        ] {
            assert_eq!(text.parse::<Schedule>(), Err(expected.to_owned()));
            assert_eq!(check(text), Err(expected.to_owned()));
        }
        assert_eq!(check("schedule:0 9 * * 1"), Ok(()));
        assert_eq!(check("every:1h"), Ok(()));
        #[cfg(not(feature = "cron"))]
        assert_eq!(
            "schedule:0 9 * * 1".parse::<Schedule>(),
            Err("cron expression `0 9 * * 1` needs the feature `cron`, which is off".to_owned())
        );
    }

    #[cfg(feature = "cron")]
    #[test]
    fn cron_expressions() {
        for (expression, after, expected) in [
            ("0 9 * * 1", "2026-03-01T10:00:00", "2026-03-02T09:00:00"), // The 1st is a Sunday.
            ("0 9 * * 7", "2026-03-01T10:00:00", "2026-03-08T09:00:00"),
            ("0 9 * * 0", "2026-03-01T08:59:59", "2026-03-01T09:00:00"),
            ("0 9 * * SUN", "2026-03-01T09:00:00", "2026-03-08T09:00:00"),
            ("*/5 * * * *", "2026-03-01T10:00:00", "2026-03-01T10:05:00"),
            ("*/5 * * * *", "2026-03-01T10:00:01", "2026-03-01T10:05:00"),
            ("0 0 29 2 *", "2026-03-01T00:00:00", "2028-02-29T00:00:00"),
            ("0 0 29 2 *", "2096-03-01T00:00:00", "2104-02-29T00:00:00"),
            ("0 0 31 * *", "2026-04-01T00:00:00", "2026-05-31T00:00:00"),
            // A day of the month or a day of the week, whichever comes first.
            ("0 0 13 * 5", "2026-03-01T00:00:00", "2026-03-06T00:00:00"),
            ("0 0 31 2 1", "2026-02-01T00:00:00", "2026-02-02T00:00:00"),
        ] {
            let schedule = Schedule::cron(expression).unwrap();
            assert_eq!(
                schedule.next_after(time(after)),
                Some(time(expected)),
                "{expression} {after}"
            );
        }
    }

    #[cfg(feature = "cron")]
    #[test]
    fn cron_texts() {
        let schedule: Schedule = "schedule:0  9 * * 1".parse().unwrap();
        assert_eq!(schedule.to_string(), "schedule:0 9 * * 1");
        assert_eq!(schedule, Schedule::cron("0 9 * * 1").unwrap());
        assert_ne!(schedule, Schedule::cron("0 9 * * 2").unwrap());
        assert_ne!(schedule, Schedule::every("1h").unwrap());
        assert!(
            Schedule::cron("0 9 * *")
                .unwrap_err()
                .contains("has 4 fields")
        );
        assert!(
            Schedule::cron("0 0 9 * * 1")
                .unwrap_err()
                .contains("has 6 fields")
        );
        assert!(
            Schedule::cron("*/90 * * * *")
                .unwrap_err()
                .contains("beyond the range")
        );
    }

    /// What our rule accepts, the library that computes times accepts, and finds a time for.
    #[cfg(feature = "cron")]
    #[test]
    fn what_is_accepted_runs() {
        for expression in cron_expression::tests::RIGHT {
            let schedule = Schedule::cron(expression).unwrap();
            assert!(
                schedule.next_after(time("2026-03-01T00:00:00")).is_some(),
                "{expression}"
            );
        }
    }
}
