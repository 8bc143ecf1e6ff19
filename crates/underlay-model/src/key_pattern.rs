//! Key patterns of keyspaces: `requests/:user_id/:resource_path`.
//!
//! A pattern says how the fields of a key become one text in the cache. This file does not know key types or caches.

use std::fmt;

/// What patterns may not start with, because keys of ours do.
pub const RESERVED_PREFIX: &str = "__underlay";

/// A checked key pattern: segments separated by `/`, at least one of them a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPattern {
    segments: Vec<Segment>,
}

/// One segment of a key pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Text that stands in every key.
    Literal(String),
    /// `:name`: the value of the key's field of that name.
    Parameter(String),
}

impl KeyPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// One sentence that shows the pattern, says what is wrong with it, and what to write where that can be derived.
    ///
    /// # Example
    ///
    /// ```
    /// use underlay_model::key_pattern::KeyPattern;
    ///
    /// let pattern = KeyPattern::parse("requests/:user_id/:resource_path").unwrap();
    /// assert_eq!(pattern.parameters().collect::<Vec<_>>(), ["user_id", "resource_path"]);
    /// assert_eq!(pattern.encode(&["7", "a/b"]), "requests/7/a\\/b");
    /// ```
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err(
                "the key pattern is empty; write one such as `requests/:user_id`".to_owned(),
            );
        }
        if text.starts_with('/') {
            let rest = text.trim_start_matches('/');
            return Err(match Self::parse(rest) {
                Ok(_) => format!("key pattern `{text}` starts with `/`; try `{rest}`"),
                Err(_) => format!("key pattern `{text}` starts with `/`"),
            });
        }
        if text.starts_with(RESERVED_PREFIX) {
            return Err(format!(
                "key pattern `{text}` starts with `{RESERVED_PREFIX}`, which is reserved"
            ));
        }
        let mut segments: Vec<Segment> = Vec::new();
        for part in text.split('/') {
            let segment = parse_segment(text, part)?;
            if let Segment::Parameter(name) = &segment
                && segments.contains(&segment)
            {
                return Err(format!(
                    "key pattern `{text}` has the parameter `:{name}` twice"
                ));
            }
            segments.push(segment);
        }
        let pattern = Self { segments };
        if pattern.parameters().next().is_none() {
            return Err(format!(
                "key pattern `{text}` has no parameter, so that all keys would be one; \
                 add one, such as `{text}/:key`"
            ));
        }
        Ok(pattern)
    }

    /// The segments, in order.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The parameters' names, in order; each stands once.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|it| match it {
            Segment::Parameter(name) => Some(name.as_str()),
            Segment::Literal(_) => None,
        })
    }

    /// The key for these values of the parameters, in their order. Different values give different keys.
    ///
    /// # Panics
    ///
    /// If there are not as many values as parameters; the macros see to it that there are.
    pub fn encode(&self, values: &[impl AsRef<str>]) -> String {
        assert_eq!(
            values.len(),
            self.parameters().count(),
            "one value for each parameter of `{self}`"
        );
        let mut values = values.iter();
        let mut key = String::new();
        for (i, segment) in self.segments.iter().enumerate() {
            if i > 0 {
                key.push('/');
            }
            match segment {
                Segment::Literal(text) => key.push_str(text),
                Segment::Parameter(_) => {
                    values
                        .by_ref()
                        .take(1)
                        .for_each(|it| push_escaped(&mut key, it.as_ref()));
                }
            }
        }
        key
    }
}

impl fmt::Display for KeyPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, segment) in self.segments.iter().enumerate() {
            let separator = if i > 0 { "/" } else { "" };
            match segment {
                Segment::Literal(text) => write!(f, "{separator}{text}")?,
                Segment::Parameter(name) => write!(f, "{separator}:{name}")?,
            }
        }
        Ok(())
    }
}

/// Appends a parameter's value to a key, with `/` and `\` escaped by `\`, so that a value never looks like a segment
/// boundary.
pub fn push_escaped(key: &mut String, value: &str) {
    for character in value.chars() {
        if matches!(character, '/' | '\\') {
            key.push('\\');
        }
        key.push(character);
    }
}

/// Whether two patterns may not stand in one cluster: they are the same but for parameters' names, or where one has
/// a parameter the other, alike so far, has text (`foo/:a` and `foo/bar/:b`: a key `foo/bar` would belong to the
/// first among keys of the second).
pub fn conflicts(a: &KeyPattern, b: &KeyPattern) -> bool {
    for pair in a.segments.iter().zip(&b.segments) {
        match pair {
            (Segment::Literal(a), Segment::Literal(b)) if a != b => return false,
            (Segment::Literal(_), Segment::Parameter(_))
            | (Segment::Parameter(_), Segment::Literal(_)) => return true,
            _ => {}
        }
    }
    a.segments.len() == b.segments.len()
}

fn parse_segment(pattern: &str, part: &str) -> Result<Segment, String> {
    if part.is_empty() {
        let rest = pattern.trim_end_matches('/');
        return Err(
            match rest.len() < pattern.len() && KeyPattern::parse(rest).is_ok() {
                true => format!("key pattern `{pattern}` ends with `/`; try `{rest}`"),
                false => format!("key pattern `{pattern}` has an empty segment"),
            },
        );
    }
    if let Some(name) = part.strip_prefix(':') {
        return match name {
            "" => Err(format!(
                "key pattern `{pattern}` has a parameter without a name"
            )),
            _ if is_field(name) => Ok(Segment::Parameter(name.to_owned())),
            _ => Err(format!(
                "key pattern `{pattern}` has the parameter `:{name}`, which is not the name of a field"
            )),
        };
    }
    if let Some(name) = part.strip_prefix('{').and_then(|it| it.strip_suffix('}')) {
        return Err(format!(
            "key pattern `{pattern}` has `{part}`; a parameter is written `:{name}`"
        ));
    }
    match part.find(|it: char| it == ':' || it == '\\' || it.is_whitespace() || it.is_control()) {
        Some(at) if part[at..].starts_with(':') => Err(format!(
            "key pattern `{pattern}` has `:` within the segment `{part}`; a parameter is a segment of its own"
        )),
        Some(at) => Err(format!(
            "key pattern `{pattern}` has the character `{}`, which it may not hold",
            part[at..].chars().next().unwrap_or_default().escape_debug()
        )),
        None => Ok(Segment::Literal(part.to_owned())),
    }
}

fn is_field(name: &str) -> bool {
    name.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_')
        && name
            .bytes()
            .all(|it| it.is_ascii_alphanumeric() || it == b'_')
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn pattern(text: &str) -> KeyPattern {
        KeyPattern::parse(text).unwrap()
    }

    #[test]
    fn reads_and_writes() {
        for (text, parameters) in [
            (":key", &["key"][..]),
            ("token/:key", &["key"]),
            (
                "requests/:user_id/:resource_path",
                &["user_id", "resource_path"],
            ),
            (":a/x/:_b2", &["a", "_b2"]),
            ("größe/{tag}x/:id", &["id"]),
        ] {
            assert_eq!(pattern(text).to_string(), text);
            assert_eq!(
                pattern(text).parameters().collect::<Vec<_>>(),
                parameters,
                "{text}"
            );
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, expected) in [
            (
                "",
                "the key pattern is empty; write one such as `requests/:user_id`",
            ),
            ("/a/:b", "key pattern `/a/:b` starts with `/`; try `a/:b`"),
            ("/", "key pattern `/` starts with `/`"),
            ("a//:b", "key pattern `a//:b` has an empty segment"),
            ("a/:b/", "key pattern `a/:b/` ends with `/`; try `a/:b`"),
            ("a/:", "key pattern `a/:` has a parameter without a name"),
            (
                "a/:b-c",
                "key pattern `a/:b-c` has the parameter `:b-c`, which is not the name of a field",
            ),
            (
                "a/:1",
                "key pattern `a/:1` has the parameter `:1`, which is not the name of a field",
            ),
            (
                "a/{id}",
                "key pattern `a/{id}` has `{id}`; a parameter is written `:id`",
            ),
            (
                "user::id",
                "key pattern `user::id` has `:` within the segment `user::id`; a parameter is a segment of its own",
            ),
            (
                "a b/:c",
                "key pattern `a b/:c` has the character ` `, which it may not hold",
            ),
            (
                "a\\/:c",
                "key pattern `a\\/:c` has the character `\\\\`, which it may not hold",
            ),
            (":a/:a", "key pattern `:a/:a` has the parameter `:a` twice"),
            (
                "online",
                "key pattern `online` has no parameter, so that all keys would be one; add one, such as `online/:key`",
            ),
            (
                "__underlay/:a",
                "key pattern `__underlay/:a` starts with `__underlay`, which is reserved",
            ),
        ] {
            assert_eq!(KeyPattern::parse(text), Err(expected.to_owned()));
        }
    }

    #[test]
    fn conflicts_are_symmetric_and_only_where_keys_mix() {
        for (a, b, expected) in [
            ("foo/:a", "foo/bar/:b", true),
            ("foo/:a", "foo/:b", true),
            ("foo/:a", "foo/:a", true),
            (":a", "foo/:b", true),
            ("foo/:a/x", "foo/:b/:c", true),
            ("foo/:a", "bar/:a", false),
            ("foo/:a", "foobar/:a", false),
            ("foo/:a", "foo/:a/:b", false),
            ("foo/:a/x", "foo/:b/y", false),
            ("foo/x/:a", "foo/y/:a", false),
        ] {
            assert_eq!(conflicts(&pattern(a), &pattern(b)), expected, "{a} {b}");
            assert_eq!(conflicts(&pattern(b), &pattern(a)), expected, "{b} {a}");
        }
    }

    #[test]
    fn encodes() {
        assert_eq!(pattern("a/:b").encode(&[""]), "a/");
        assert_eq!(pattern("a/:b/c").encode(&["x/y\\z"]), "a/x\\/y\\\\z/c");
        // The pair that Encore, which escapes `/` only, maps to one key.
        let two = pattern(":a/:b");
        assert_ne!(two.encode(&["x\\", "y/z"]), two.encode(&["x/y\\", "z"]));
    }

    /// All values up to a length over an alphabet of the characters that matter: no two have one key.
    #[test]
    fn different_values_have_different_keys() {
        let mut values = vec![String::new()];
        for i in 0.. {
            if values[i].len() == 4 {
                break;
            }
            for character in ['/', '\\', 'a', ':'] {
                values.push(format!("{}{character}", values[i]));
            }
        }
        let two = pattern(":a/:b");
        let mut seen = HashMap::new();
        for a in &values {
            for b in &values {
                if let Some(other) = seen.insert(two.encode(&[a, b]), (a, b)) {
                    panic!("{:?} and {other:?} have one key", (a, b));
                }
            }
        }
        assert!(seen.len() > 100_000);
    }

    /// Patterns that do not conflict never share a key, even when each value is taken from the other's text.
    #[test]
    fn patterns_that_do_not_conflict_share_no_key() {
        let patterns = [
            "f/:a",
            "f/:a/:b",
            "f/:a/x",
            "g/:a",
            "g/x/:a/:b",
            "f/:a/:b/:c",
            "ff/:a",
        ]
        .map(pattern);
        let values = ["", "f", "x", "f/x", "x/f", "/", "\\", "\\/", "x\\"];
        let mut seen: HashMap<String, usize> = HashMap::new();
        for (i, pattern) in patterns.iter().enumerate() {
            for a in values {
                for b in values {
                    for c in values {
                        let key = pattern.encode(&[a, b, c][..pattern.parameters().count()]);
                        let other = *seen.entry(key.clone()).or_insert(i);
                        let clash = other != i && !conflicts(pattern, &patterns[other]);
                        assert!(!clash, "{pattern} and {} share {key}", patterns[other]);
                    }
                }
            }
        }
    }
}
