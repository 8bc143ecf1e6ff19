//! A filter in the words of Google Pub/Sub.
//!
//! Knows no client; what a filter means is in the model.

use std::fmt::Write as _;

use underlay_model::filter::{Condition, Filter};

/// The longest filter in bytes that Google takes.
pub(super) const LONGEST: usize = 256;

/// The text of a filter; empty for the one that every message meets.
pub(super) fn text(filter: &Filter) -> String {
    let mut text = String::new();
    for (name, condition) in &filter.0 {
        if !text.is_empty() {
            text.push_str(" AND ");
        }
        let name = quoted(name);
        // An attribute that is missing meets no condition.
        let _ = write!(text, "attributes:{name}");
        match condition {
            Condition::AnyOf(values) => match &values[..] {
                [] => {
                    let _ = write!(text, " AND NOT attributes:{name}");
                }
                [value] => {
                    let _ = write!(text, " AND attributes.{name} = {}", quoted(value));
                }
                values => {
                    let each = values
                        .iter()
                        .map(|it| format!("attributes.{name} = {}", quoted(it)));
                    let any: Vec<String> = each.collect();
                    let _ = write!(text, " AND ({})", any.join(" OR "));
                }
            },
            Condition::NoneOf(values) => {
                for value in values {
                    let _ = write!(text, " AND attributes.{name} != {}", quoted(value));
                }
            }
            Condition::Prefix(prefix) => {
                let _ = write!(
                    text,
                    " AND hasPrefix(attributes.{name}, {})",
                    quoted(prefix)
                );
            }
        }
    }
    text
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[track_caller]
    fn check(conditions: &[(&str, Condition)], expected: &str) {
        let own = |(name, condition): &(&str, Condition)| ((*name).to_owned(), condition.clone());
        let filter = Filter(BTreeMap::from_iter(conditions.iter().map(own)));
        assert_eq!(text(&filter), expected);
    }

    fn owned(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn texts() {
        check(&[], "");
        let one = Condition::AnyOf(owned(&["DE"]));
        check(
            &[("c", one.clone())],
            r#"attributes:"c" AND attributes."c" = "DE""#,
        );
        let two = Condition::AnyOf(owned(&["DE", "AT"]));
        check(
            &[("c", two)],
            r#"attributes:"c" AND (attributes."c" = "DE" OR attributes."c" = "AT")"#,
        );
        check(
            &[("c", Condition::AnyOf(Vec::new()))],
            r#"attributes:"c" AND NOT attributes:"c""#,
        );
        let none = Condition::NoneOf(owned(&["a", "b"]));
        check(
            &[("c", none)],
            r#"attributes:"c" AND attributes."c" != "a" AND attributes."c" != "b""#,
        );
        check(&[("c", Condition::NoneOf(Vec::new()))], r#"attributes:"c""#);
        check(
            &[("c", one), ("sku", Condition::Prefix("A-".to_owned()))],
            r#"attributes:"c" AND attributes."c" = "DE" AND attributes:"sku" AND hasPrefix(attributes."sku", "A-")"#,
        );
    }

    #[test]
    fn what_ends_a_text_is_escaped() {
        check(
            &[(
                r#"a"b"#,
                Condition::AnyOf(owned(&[r#"x" OR attributes:y \"#])),
            )],
            r#"attributes:"a\"b" AND attributes."a\"b" = "x\" OR attributes:y \\""#,
        );
    }
}
