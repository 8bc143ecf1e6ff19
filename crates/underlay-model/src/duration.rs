//! Durations as declarations and documents write them: `30s`, `1h30m`, `7d`, `500ms`.
//!
//! This file does not know which durations are sensible for what.

use std::time::Duration;

/// The units, from large to small, in milliseconds.
const UNITS: [(&str, u64); 5] = [
    ("d", DAY),
    ("h", HOUR),
    ("m", MINUTE),
    ("s", 1000),
    ("ms", 1),
];
const MINUTE: u64 = 60 * 1000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The longest duration, a hundred years, so that adding one to a point in time never overflows.
pub const MAX: Duration = Duration::from_millis(36_500 * DAY);

/// Other spellings of units that people try, with the milliseconds that they mean.
const FOREIGN_UNITS: [(&[&str], u64); 7] = [
    (
        &["msec", "msecs", "millis", "milliseconds", "millisecond"],
        1,
    ),
    (&["sec", "secs", "second", "seconds"], 1000),
    (&["min", "mins", "minute", "minutes"], MINUTE),
    (&["hr", "hrs", "hour", "hours"], HOUR),
    (&["day", "days"], DAY),
    (&["w", "week", "weeks"], 7 * DAY),
    (&["y", "year", "years"], 365 * DAY),
];

/// Reads a duration: whole numbers with the units `d`, `h`, `m`, `s` and `ms`, from large to small, each at most
/// once; at most a hundred years.
///
/// # Errors
///
/// One sentence that shows the text, says what is wrong with it, and suggests a right one where it can be derived.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use underlay_model::duration::parse;
///
/// assert_eq!(parse("1h30m"), Ok(Duration::from_secs(5400)));
/// assert_eq!(parse("30").unwrap_err(), "`30` has no unit; try `30s`");
/// ```
pub fn parse(text: &str) -> Result<Duration, String> {
    if text.is_empty() {
        return Err("the duration is empty; write one such as `30s` or `1h30m`".to_owned());
    }
    if text.starts_with(['-', '+']) {
        let rest = text.trim_start_matches(['-', '+']);
        return Err(match parse(rest) {
            Ok(_) => format!("`{text}` has a sign; durations have none, try `{rest}`"),
            Err(_) => format!("`{text}` has a sign; durations have none"),
        });
    }
    let components = components(text)?;
    let mut total: u64 = 0;
    let mut next_unit = 0;
    for Component { number, unit } in components {
        let position = UNITS.iter().position(|(name, _)| *name == unit).ok_or_else(|| {
            let suggestion = foreign_unit(unit)
                .and_then(|millis| number.parse::<u64>().ok()?.checked_mul(millis))
                .map(Duration::from_millis)
                .filter(|it| text.len() == number.len() + unit.len() && *it <= MAX)
                .map(|it| format!("; try `{}`", format(it)))
                .unwrap_or_default();
            format!("`{text}` has the unknown unit `{unit}`; the units are d, h, m, s and ms{suggestion}")
        })?;
        if position < next_unit {
            return Err(format!(
                "`{text}` has its units out of order; they go from large to small, each once"
            ));
        }
        next_unit = position + 1;
        total = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(UNITS[position].1))
            .and_then(|millis| total.checked_add(millis))
            .filter(|total| u128::from(*total) <= MAX.as_millis())
            .ok_or_else(|| format!("`{text}` is longer than a hundred years"))?;
    }
    Ok(Duration::from_millis(total))
}

/// The shortest text that [`parse`] reads as this duration. What is shorter than a millisecond is dropped.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use underlay_model::duration::format;
///
/// assert_eq!(format(Duration::from_secs(5400)), "1h30m");
/// assert_eq!(format(Duration::ZERO), "0s");
/// ```
pub fn format(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, millis) in UNITS {
        let number = rest / u128::from(millis);
        rest %= u128::from(millis);
        if number > 0 {
            text.push_str(&format!("{number}{unit}"));
        }
    }
    text
}

/// A number and its unit, as written.
struct Component<'a> {
    number: &'a str,
    unit: &'a str,
}

fn components(text: &str) -> Result<Vec<Component<'_>>, String> {
    let mut components = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (number, tail) = split_while(rest, |it| it.is_ascii_digit());
        if number.is_empty() {
            return Err(format!(
                "`{text}` is not a duration; write numbers with units such as `30s` or `1h30m`"
            ));
        }
        let (unit, tail) = split_while(tail, char::is_alphabetic);
        if unit.is_empty() {
            return Err(match tail.chars().next() {
                None if components.is_empty() => format!("`{text}` has no unit; try `{text}s`"),
                None => format!("`{text}` has no unit after `{number}`"),
                Some('.' | ',') => fraction(text),
                Some(character) if character.is_whitespace() => {
                    let closed: String = text.chars().filter(|it| !it.is_whitespace()).collect();
                    match parse(&closed) {
                        Ok(_) => format!("`{text}` holds a space; try `{closed}`"),
                        Err(_) => format!("`{text}` holds a space"),
                    }
                }
                Some(character) => format!(
                    "`{text}` is not a duration: `{}` is not a unit; the units are d, h, m, s and ms",
                    character.escape_debug()
                ),
            });
        }
        components.push(Component { number, unit });
        rest = tail;
    }
    Ok(components)
}

/// What to say of a number with a fraction.
fn fraction(text: &str) -> String {
    let problem = format!("`{text}` has a fraction; durations have whole numbers");
    let suggestion = || {
        let (number, unit) = split_while(text, |it| it.is_ascii_digit() || it == '.');
        let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let (whole, fraction) = number.split_once('.')?;
        if fraction.len() > 6 {
            return None;
        }
        let scale = 10_u64.pow(u32::try_from(fraction.len()).ok()?);
        let scaled = whole
            .parse::<u64>()
            .ok()?
            .checked_mul(scale)?
            .checked_add(fraction.parse().ok()?)?
            .checked_mul(*millis)?;
        let duration = Duration::from_millis(scaled / scale);
        (scaled % scale == 0 && duration <= MAX).then(|| format(duration))
    };
    match suggestion() {
        Some(suggestion) => format!("{problem}, try `{suggestion}`"),
        None => problem,
    }
}

/// The milliseconds of a unit in another case or spelling.
fn foreign_unit(unit: &str) -> Option<u64> {
    let lower = unit.to_lowercase();
    let ours = UNITS
        .iter()
        .find(|(name, _)| *name == lower)
        .map(|(_, millis)| *millis);
    let foreign = || {
        FOREIGN_UNITS
            .iter()
            .find(|(names, _)| names.contains(&lower.as_str()))
            .map(|it| it.1)
    };
    ours.or_else(foreign)
}

fn split_while(text: &str, keep: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|it| !keep(it)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes() {
        for (text, millis, written) in [
            ("0s", 0, "0s"),
            ("0ms", 0, "0s"),
            ("500ms", 500, "500ms"),
            ("1s", 1000, "1s"),
            ("30s", 30_000, "30s"),
            ("90s", 90_000, "1m30s"),
            ("10m", 600_000, "10m"),
            ("1h", HOUR, "1h"),
            ("1h30m", 90 * MINUTE, "1h30m"),
            ("24h", DAY, "1d"),
            ("7d", 7 * DAY, "7d"),
            (
                "1d2h3m4s5ms",
                DAY + 2 * HOUR + 3 * MINUTE + 4005,
                "1d2h3m4s5ms",
            ),
            ("007s", 7000, "7s"),
            ("36500d", 36_500 * DAY, "36500d"),
        ] {
            let duration = parse(text).unwrap();
            assert_eq!(duration, Duration::from_millis(millis), "{text}");
            assert_eq!(format(duration), written, "{text}");
            assert_eq!(parse(written), Ok(duration), "{text}");
        }
        assert_eq!(format(Duration::from_micros(1_500)), "1ms");
        assert!(parse(&format(Duration::MAX)).is_err());
    }

    #[test]
    fn says_what_is_wrong() {
        let units = "the units are d, h, m, s and ms";
        for (text, expected) in [
            (
                "",
                "the duration is empty; write one such as `30s` or `1h30m`".to_owned(),
            ),
            ("30", "`30` has no unit; try `30s`".to_owned()),
            ("1h30", "`1h30` has no unit after `30`".to_owned()),
            ("5x", format!("`5x` has the unknown unit `x`; {units}")),
            (
                "5min",
                format!("`5min` has the unknown unit `min`; {units}; try `5m`"),
            ),
            (
                "2weeks",
                format!("`2weeks` has the unknown unit `weeks`; {units}; try `14d`"),
            ),
            (
                "5S",
                format!("`5S` has the unknown unit `S`; {units}; try `5s`"),
            ),
            (
                "1h5min",
                format!("`1h5min` has the unknown unit `min`; {units}"),
            ),
            (
                "1.5h",
                "`1.5h` has a fraction; durations have whole numbers, try `1h30m`".to_owned(),
            ),
            (
                "0.0001s",
                "`0.0001s` has a fraction; durations have whole numbers".to_owned(),
            ),
            (
                "1,5h",
                "`1,5h` has a fraction; durations have whole numbers".to_owned(),
            ),
            (
                "-5s",
                "`-5s` has a sign; durations have none, try `5s`".to_owned(),
            ),
            ("+x", "`+x` has a sign; durations have none".to_owned()),
            ("30 s", "`30 s` holds a space; try `30s`".to_owned()),
            (
                "s",
                "`s` is not a duration; write numbers with units such as `30s` or `1h30m`"
                    .to_owned(),
            ),
            (
                " 30s",
                "` 30s` is not a duration; write numbers with units such as `30s` or `1h30m`"
                    .to_owned(),
            ),
            (
                "5%",
                format!("`5%` is not a duration: `%` is not a unit; {units}"),
            ),
            (
                "30m1h",
                "`30m1h` has its units out of order; they go from large to small, each once"
                    .to_owned(),
            ),
            (
                "1s1s",
                "`1s1s` has its units out of order; they go from large to small, each once"
                    .to_owned(),
            ),
            (
                "36501d",
                "`36501d` is longer than a hundred years".to_owned(),
            ),
            (
                "99999999999999999999999d",
                "`99999999999999999999999d` is longer than a hundred years".to_owned(),
            ),
            (
                "18446744073709551615ms",
                "`18446744073709551615ms` is longer than a hundred years".to_owned(),
            ),
            (
                "１s",
                "`１s` is not a duration; write numbers with units such as `30s` or `1h30m`"
                    .to_owned(),
            ),
        ] {
            assert_eq!(parse(text), Err(expected));
        }
    }
}
