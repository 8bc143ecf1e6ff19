//! The bounds of a subscription's delivery options.
//!
//! They are those that every broker can keep; what one broker cannot do is that backend's to say.

use std::time::Duration;

use crate::duration;
use crate::model::DeliveryOptions;

/// What is wrong with one delivery option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionProblem {
    /// The option, by the name that a declaration uses: `ack_deadline`.
    pub option: &'static str,
    /// What is wrong with it and what to do.
    pub message: String,
}

/// What is wrong with delivery options, in the order of the options.
///
/// # Example
///
/// ```
/// use underlay_model::{delivery, model::DeliveryOptions};
///
/// let options = DeliveryOptions { retention: "30s".to_owned(), ..DeliveryOptions::default() };
/// let [problem] = &delivery::check(&options)[..] else { panic!() };
/// assert_eq!(problem.option, "retention");
/// assert_eq!(problem.message, "retention `30s` is shorter than `1m`, the least that it may be");
/// ```
pub fn check(options: &DeliveryOptions) -> Vec<OptionProblem> {
    let mut problems = Vec::new();
    let mut problem = |option, message| problems.push(OptionProblem { option, message });
    if options.max_concurrency == 0 {
        problem(
            "max_concurrency",
            "max_concurrency is 0; at least one message is handled at once".to_owned(),
        );
    }
    let second = Duration::from_secs(1);
    let mut read = |option, text: &str, least: Duration| match duration::parse(text) {
        Ok(value) if value < least => {
            let least = duration::format(least);
            problem(
                option,
                format!("{option} `{text}` is shorter than `{least}`, the least that it may be"),
            );
            None
        }
        Ok(value) => Some(value),
        Err(error) => {
            problem(option, format!("{option} is wrong: {error}"));
            None
        }
    };
    read("ack_deadline", &options.ack_deadline, second);
    read("retention", &options.retention, 60 * second);
    let min = read("min_backoff", &options.min_backoff, second);
    let max = read("max_backoff", &options.max_backoff, second);
    if let (Some(min), Some(max)) = (min, max)
        && max < min
    {
        let (min, max) = (&options.min_backoff, &options.max_backoff);
        problem(
            "max_backoff",
            format!("max_backoff `{max}` is shorter than min_backoff, `{min}`"),
        );
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_right() {
        assert_eq!(check(&DeliveryOptions::default()), []);
        let least = DeliveryOptions {
            max_concurrency: 1,
            ack_deadline: "1s".to_owned(),
            retention: "60s".to_owned(),
            min_backoff: "1s".to_owned(),
            max_backoff: "1000ms".to_owned(),
            max_retries: Some(0),
        };
        assert_eq!(check(&least), []);
        assert_eq!(
            check(&DeliveryOptions {
                max_retries: None,
                ..least
            }),
            []
        );
    }

    #[test]
    fn all_problems_at_once() {
        let options = DeliveryOptions {
            max_concurrency: 0,
            ack_deadline: "999ms".to_owned(),
            retention: "59s".to_owned(),
            min_backoff: "0s".to_owned(),
            max_backoff: "ten minutes".to_owned(),
            max_retries: None,
        };
        let texts: Vec<String> = check(&options).into_iter().map(|it| it.message).collect();
        assert_eq!(
            texts,
            [
                "max_concurrency is 0; at least one message is handled at once",
                "ack_deadline `999ms` is shorter than `1s`, the least that it may be",
                "retention `59s` is shorter than `1m`, the least that it may be",
                "min_backoff `0s` is shorter than `1s`, the least that it may be",
                "max_backoff is wrong: `ten minutes` is not a duration; write numbers with units such as `30s` or \
                 `1h30m`",
            ]
        );
        let options = DeliveryOptions {
            min_backoff: "11m".to_owned(),
            ..DeliveryOptions::default()
        };
        assert_eq!(
            check(&options),
            [OptionProblem {
                option: "max_backoff",
                message: "max_backoff `10m` is shorter than min_backoff, `11m`".to_owned()
            }]
        );
    }
}
