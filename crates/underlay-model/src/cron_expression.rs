//! The rule of cron expressions: the five fields of POSIX, which every scheduler understands alike.
//!
//! What only some schedulers understand (`L`, `W`, `#`, `?`, seconds, years, `@daily`) is refused, so that a
//! declaration means the same in the application and in every manifest. This file judges expressions and does not
//! compute times; [`crate::schedule`] does.

use std::ops::RangeInclusive;

/// The five fields.
const FIELDS: [Field; 5] = [
    Field {
        name: "minute",
        range: 0..=59,
        names: &[],
        first: 0,
    },
    Field {
        name: "hour",
        range: 0..=23,
        names: &[],
        first: 0,
    },
    Field {
        name: "day of the month",
        range: 1..=31,
        names: &[],
        first: 1,
    },
    Field {
        name: "month",
        range: 1..=12,
        names: &[
            "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
        ],
        first: 1,
    },
    Field {
        name: "day of the week",
        range: 0..=7,
        names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
        first: 0,
    },
];

/// The most days that each month has.
const DAYS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

struct Field {
    name: &'static str,
    range: RangeInclusive<u32>,
    /// Names that stand for numbers, from `first` on.
    names: &'static [&'static str],
    first: u32,
}

/// Checks a cron expression: minute, hour, day of the month, month and day of the week (0 or 7 is Sunday), each `*`,
/// numbers, ranges or lists of them, with steps; and some date must exist that it means.
///
/// # Errors
///
/// One sentence that shows the expression and says which field is wrong, and why.
///
/// # Example
///
/// ```
/// use underlay_model::cron_expression::check;
///
/// assert_eq!(check("0 9 * * MON-FRI"), Ok(()));
/// assert!(check("0 0 31 2 *").unwrap_err().contains("no date"));
/// ```
pub fn check(expression: &str) -> Result<(), String> {
    let fields: Vec<&str> = expression.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        let count = match fields.len() {
            0 => "no field".to_owned(),
            1 => "1 field".to_owned(),
            count => format!("{count} fields"),
        };
        let hint = match fields.len() {
            1 if expression.trim().starts_with('@') => {
                "; names such as `@daily` are not supported".to_owned()
            }
            6 => format!(
                "; seconds and years are not supported, perhaps `{}`",
                fields[1..].join(" ")
            ),
            _ => String::new(),
        };
        return Err(format!(
            "cron expression `{expression}` has {count}; it has exactly five: \
             minute, hour, day of the month, month, day of the week{hint}"
        ));
    }
    let mut values = Vec::new();
    for (field, text) in FIELDS.iter().zip(&fields) {
        let set = field.values(text).map_err(|problem| {
            format!(
                "cron expression `{expression}` has {problem} in the field {}",
                field.name
            )
        })?;
        values.push(set);
    }
    let (days, months) = (&values[2], &values[3]);
    let exists = |month: &u32| days.iter().any(|day| *day <= DAYS[*month as usize - 1]);
    // A day of the week besides a day of the month adds days, so there always are some.
    if fields[4] == "*" && !months.iter().any(exists) {
        return Err(format!(
            "cron expression `{expression}` never runs: there is no date that it means"
        ));
    }
    Ok(())
}

impl Field {
    fn values(&self, text: &str) -> Result<Vec<u32>, String> {
        let mut values = Vec::new();
        for item in text.split(',') {
            if item.is_empty() {
                return Err(format!("an empty item, `{text}`,"));
            }
            let (base, step) = match item.split_once('/') {
                Some((base, step)) => (base, Some(step)),
                None => (item, None),
            };
            let range = if base == "*" {
                self.range.clone()
            } else if let Some((from, to)) = base.split_once('-') {
                let (from, to) = (self.number(from)?, self.number(to)?);
                if from > to {
                    let sunday = if self.names.len() == 7 && to == 0 {
                        "; Sunday as an end is `7`"
                    } else {
                        ""
                    };
                    return Err(format!(
                        "the range `{base}`, which ends before it starts{sunday},"
                    ));
                }
                from..=to
            } else {
                let value = self.number(base)?;
                if let Some(step) = step {
                    let (step, end) = (step, self.range.end());
                    return Err(format!(
                        "`{item}`, a step without a range; write `{base}-{end}/{step}`"
                    ));
                }
                value..=value
            };
            let step = match step {
                None => 1,
                Some(step) => self.step(item, step, &range)?,
            };
            values.extend(range.step_by(step as usize));
        }
        Ok(values)
    }

    fn step(&self, item: &str, step: &str, range: &RangeInclusive<u32>) -> Result<u32, String> {
        let number = Some(step)
            .filter(|it| it.bytes().all(|it| it.is_ascii_digit()))
            .and_then(|it| it.parse::<u32>().ok())
            .filter(|it| *it > 0)
            .ok_or_else(|| format!("`{item}`, whose step is not a number from 1"))?;
        let longest = (range.end() - range.start()).max(1);
        if number > longest {
            return Err(format!(
                "`{item}`, whose step is beyond the range; at most `/{longest}` fits"
            ));
        }
        Ok(number)
    }

    fn number(&self, text: &str) -> Result<u32, String> {
        if let Some(at) = self
            .names
            .iter()
            .position(|it| it.eq_ignore_ascii_case(text))
        {
            return Ok(self.first + at as u32);
        }
        let (start, end) = (self.range.start(), self.range.end());
        if !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit()) {
            return text
                .parse()
                .ok()
                .filter(|it| self.range.contains(it))
                .ok_or_else(|| format!("`{text}`, which is not in {start}–{end},"));
        }
        let names = match self.names {
            [first, .., last] => format!(" or {first}–{last}"),
            _ => String::new(),
        };
        Err(format!(
            "`{text}`, which is not a number in {start}–{end}{names},"
        ))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What is right, here and for the library that computes times.
    pub(crate) const RIGHT: [&str; 19] = [
        "* * * * *",
        "*/5 * * * *",
        "*/59 * * * *",
        "0 9 * * 1",
        "0 9 * * MON-FRI",
        "0 9 * * mon,wed",
        "0 9 * * 5-7",
        "0 9 * * 7",
        "0 9 * * SUN",
        "0 0 1 1 *",
        "0 0 1 JAN,Jul *",
        "0 0 29 2 *",
        "0 0 31 1-12 *",
        "0 0 30,31 2,4 *",
        "0 0 31 2 1",
        "10-20/5 0-23/6 1-31/2 * *",
        "0,15,30,45 8-18 * * 1-5",
        "00 09 01 01 00",
        "  0   9 * *\t1 ",
    ];

    #[test]
    fn accepts_what_is_right() {
        for expression in RIGHT {
            assert_eq!(check(expression), Ok(()), "{expression}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let five = "it has exactly five: minute, hour, day of the month, month, day of the week";
        for (expression, expected) in [
            ("", format!("has no field; {five}")),
            ("@daily", format!("has 1 field; {five}; names such as `@daily` are not supported")),
            ("0 9 * *", format!("has 4 fields; {five}")),
            (
                "0 0 9 * * 1",
                format!("has 6 fields; {five}; seconds and years are not supported, perhaps `0 9 * * 1`"),
            ),
            ("60 * * * *", "has `60`, which is not in 0–59, in the field minute".to_owned()),
            ("* 24 * * *", "has `24`, which is not in 0–23, in the field hour".to_owned()),
            ("* * 0 * *", "has `0`, which is not in 1–31, in the field day of the month".to_owned()),
            ("* * * 13 *", "has `13`, which is not in 1–12, in the field month".to_owned()),
            ("* * * * 8", "has `8`, which is not in 0–7, in the field day of the week".to_owned()),
            (
                "* * * * MOO",
                "has `MOO`, which is not a number in 0–7 or SUN–SAT, in the field day of the week".to_owned(),
            ),
            ("* * L * *", "has `L`, which is not a number in 1–31, in the field day of the month".to_owned()),
            ("* * ? * *", "has `?`, which is not a number in 1–31, in the field day of the month".to_owned()),
            ("99999999999 * * * *", "has `99999999999`, which is not in 0–59, in the field minute".to_owned()),
            ("-5 * * * *", "has ``, which is not a number in 0–59, in the field minute".to_owned()),
            ("*/90 * * * *", "has `*/90`, whose step is beyond the range; at most `/59` fits in the field minute".to_owned()),
            ("*/60 * * * *", "has `*/60`, whose step is beyond the range; at most `/59` fits in the field minute".to_owned()),
            ("0 */24 * * *", "has `*/24`, whose step is beyond the range; at most `/23` fits in the field hour".to_owned()),
            ("*/0 * * * *", "has `*/0`, whose step is not a number from 1 in the field minute".to_owned()),
            ("*/x * * * *", "has `*/x`, whose step is not a number from 1 in the field minute".to_owned()),
            ("5/15 * * * *", "has `5/15`, a step without a range; write `5-59/15` in the field minute".to_owned()),
            ("20-10 * * * *", "has the range `20-10`, which ends before it starts, in the field minute".to_owned()),
            (
                "* * * * FRI-SUN",
                "has the range `FRI-SUN`, which ends before it starts; Sunday as an end is `7`, \
                 in the field day of the week"
                    .to_owned(),
            ),
            ("1,,2 * * * *", "has an empty item, `1,,2`, in the field minute".to_owned()),
            ("0 0 31 2 *", "never runs: there is no date that it means".to_owned()),
            ("0 0 31 2,4,6,9,11 *", "never runs: there is no date that it means".to_owned()),
        ] {
            assert_eq!(check(expression), Err(format!("cron expression `{expression}` {expected}")));
        }
    }
}
