//! Paths of endpoints in axum's syntax: `/orders/{id}`, `/files/{*path}`.
//!
//! The rules are those of axum 0.8 and its router, so that whatever is accepted here is accepted there; this file
//! uses neither.

use std::fmt;

/// What paths may not start with, because endpoints of ours do.
pub const RESERVED_PREFIX: &str = "/__underlay";

/// A checked endpoint path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointPath {
    segments: Vec<Segment>,
}

/// One segment of an endpoint path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Text, as a request has it: `{{` is written for `{`.
    Literal(String),
    /// `{name}`, possibly after some text: one segment of the request.
    Parameter {
        /// The text before the parameter.
        prefix: String,
        /// The parameter's name.
        name: String,
    },
    /// `{*name}`, possibly after some text: the rest of the request's path.
    Rest {
        /// The text before the parameter.
        prefix: String,
        /// The parameter's name.
        name: String,
    },
}

impl EndpointPath {
    /// Reads a path.
    ///
    /// # Errors
    ///
    /// One sentence that shows the path, says what is wrong with it, and what to write where that can be derived.
    ///
    /// # Example
    ///
    /// ```
    /// use underlay_model::endpoint_path::EndpointPath;
    ///
    /// let path = EndpointPath::parse("/orders/{id}").unwrap();
    /// assert_eq!(path.parameters().collect::<Vec<_>>(), ["id"]);
    /// assert_eq!(
    ///     EndpointPath::parse("/orders/:id").unwrap_err(),
    ///     "path `/orders/:id` has `:id`; a parameter is written `{id}`",
    /// );
    /// ```
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err(match text {
                "" => "the path is empty; write one such as `/orders/{id}`".to_owned(),
                _ => format!("path `{text}` does not start with `/`; try `/{text}`"),
            });
        };
        let reserved = text
            .strip_prefix(RESERVED_PREFIX)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if reserved {
            return Err(format!(
                "path `{text}` lies under `{RESERVED_PREFIX}`, which is reserved"
            ));
        }
        if rest.is_empty() {
            return Ok(Self {
                segments: Vec::new(),
            });
        }
        let mut segments: Vec<Segment> = Vec::new();
        for part in rest.split('/') {
            if let Some(Segment::Rest { name, .. }) = segments.last() {
                return Err(format!(
                    "path `{text}` goes on after `{{*{name}}}`, which takes the rest"
                ));
            }
            let segment = parse_segment(text, part)?;
            if let Some(name) = segment.parameter()
                && segments.iter().any(|it| it.parameter() == Some(name))
            {
                return Err(format!("path `{text}` has the parameter `{name}` twice"));
            }
            segments.push(segment);
        }
        Ok(Self { segments })
    }

    /// The segments, in order; none for `/`.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The parameters' names, in order; each stands once.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(Segment::parameter)
    }
}

impl Segment {
    /// The parameter's name, if it has one.
    pub fn parameter(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Parameter { name, .. } | Self::Rest { name, .. } => Some(name),
        }
    }
}

impl fmt::Display for EndpointPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.segments.is_empty() {
            return f.write_str("/");
        }
        let escape = |text: &str| text.replace('{', "{{").replace('}', "}}");
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{}", escape(text))?,
                Segment::Parameter { prefix, name } => write!(f, "/{}{{{name}}}", escape(prefix))?,
                Segment::Rest { prefix, name } => write!(f, "/{}{{*{name}}}", escape(prefix))?,
            }
        }
        Ok(())
    }
}

/// Whether a router refuses to have both paths: they are the same but for parameters' names, or where one has a
/// parameter the other, alike so far, takes the rest. Text beside a parameter is no conflict; text goes first.
pub fn conflicts(a: &EndpointPath, b: &EndpointPath) -> bool {
    for pair in a.segments.iter().zip(&b.segments) {
        match pair {
            (Segment::Literal(a), Segment::Literal(b)) if a == b => {}
            (Segment::Parameter { prefix: a, .. }, Segment::Parameter { prefix: b, .. })
                if a == b => {}
            (
                Segment::Parameter { prefix: a, .. } | Segment::Rest { prefix: a, .. },
                Segment::Parameter { prefix: b, .. } | Segment::Rest { prefix: b, .. },
            ) => return a == b,
            _ => return false,
        }
    }
    a.segments.len() == b.segments.len()
}

fn parse_segment(path: &str, part: &str) -> Result<Segment, String> {
    if part.is_empty() {
        let rest = path.trim_end_matches('/');
        return Err(
            match !rest.is_empty() && rest.len() < path.len() && !rest.contains("//") {
                true => format!("path `{path}` ends with `/`; try `{rest}`"),
                false => format!("path `{path}` has an empty segment"),
            },
        );
    }
    if let Some(name) = part.strip_prefix(':') {
        return Err(format!(
            "path `{path}` has `{part}`; a parameter is written `{{{name}}}`"
        ));
    }
    if let Some(name) = part.strip_prefix('*') {
        let name = if name.is_empty() { "rest" } else { name };
        return Err(format!(
            "path `{path}` has `{part}`; the rest of a path is written `{{*{name}}}`"
        ));
    }
    let mut literal = String::new();
    let mut rest = part;
    while let Some(character) = rest.chars().next() {
        let tail = &rest[character.len_utf8()..];
        match character {
            '{' | '}' if tail.starts_with(character) => {
                literal.push(character);
                rest = &tail[1..];
            }
            '{' => return parse_parameter(path, part, literal, tail),
            '}' => {
                return Err(format!(
                    "path `{path}` has a `}}` without a `{{` in `{part}`"
                ));
            }
            '?' | '#' => {
                return Err(format!(
                    "path `{path}` has a `{character}`; it holds no query and no fragment"
                ));
            }
            _ if character.is_whitespace() || character.is_control() => {
                return Err(format!(
                    "path `{path}` has the character `{}`, which it may not hold",
                    character.escape_debug()
                ));
            }
            _ => {
                literal.push(character);
                rest = tail;
            }
        }
    }
    Ok(Segment::Literal(literal))
}

/// Reads a parameter, from what follows its `{`.
fn parse_parameter(path: &str, part: &str, prefix: String, tail: &str) -> Result<Segment, String> {
    let Some((inner, suffix)) = tail.split_once('}') else {
        return Err(format!(
            "path `{path}` has a `{{` without a `}}` in `{part}`"
        ));
    };
    let (name, rest) = match inner.strip_prefix('*') {
        Some(name) => (name, true),
        None => (inner, false),
    };
    if name.is_empty() {
        return Err(format!(
            "path `{path}` has a parameter without a name in `{part}`"
        ));
    }
    let is_identifier = name.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_')
        && name
            .bytes()
            .all(|it| it.is_ascii_alphanumeric() || it == b'_');
    if !is_identifier {
        return Err(format!(
            "path `{path}` has the parameter `{name}`, which is not an identifier"
        ));
    }
    if !suffix.is_empty() {
        return Err(format!(
            "path `{path}` has text after the parameter `{name}` in `{part}`; a parameter ends its segment"
        ));
    }
    let name = name.to_owned();
    Ok(if rest {
        Segment::Rest { prefix, name }
    } else {
        Segment::Parameter { prefix, name }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> EndpointPath {
        EndpointPath::parse(text).unwrap()
    }

    #[test]
    fn reads_and_writes() {
        for (text, parameters) in [
            ("/", &[][..]),
            ("/orders", &[]),
            ("/orders/{id}", &["id"]),
            ("/orders/{id}/items/{item_id}", &["id", "item_id"]),
            ("/files/{*path}", &["path"]),
            ("/{*rest}", &["rest"]),
            ("/user-{id}", &["id"]),
            ("/a/{{literal}}/b", &[]),
            ("/größe/a.b~c", &[]),
        ] {
            assert_eq!(path(text).to_string(), text);
            assert_eq!(
                path(text).parameters().collect::<Vec<_>>(),
                parameters,
                "{text}"
            );
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, expected) in [
            ("", "the path is empty; write one such as `/orders/{id}`"),
            (
                "orders",
                "path `orders` does not start with `/`; try `/orders`",
            ),
            ("/orders/", "path `/orders/` ends with `/`; try `/orders`"),
            ("/a//b", "path `/a//b` has an empty segment"),
            ("//", "path `//` has an empty segment"),
            (
                "/orders/:id",
                "path `/orders/:id` has `:id`; a parameter is written `{id}`",
            ),
            (
                "/files/*path",
                "path `/files/*path` has `*path`; the rest of a path is written `{*path}`",
            ),
            (
                "/files/*",
                "path `/files/*` has `*`; the rest of a path is written `{*rest}`",
            ),
            ("/{}", "path `/{}` has a parameter without a name in `{}`"),
            (
                "/{*}",
                "path `/{*}` has a parameter without a name in `{*}`",
            ),
            ("/{id", "path `/{id` has a `{` without a `}` in `{id`"),
            ("/id}", "path `/id}` has a `}` without a `{` in `id}`"),
            (
                "/{a-b}",
                "path `/{a-b}` has the parameter `a-b`, which is not an identifier",
            ),
            (
                "/{id}.json",
                "path `/{id}.json` has text after the parameter `id` in `{id}.json`; a parameter ends its segment",
            ),
            (
                "/{id}/{id}",
                "path `/{id}/{id}` has the parameter `id` twice",
            ),
            (
                "/{*rest}/x",
                "path `/{*rest}/x` goes on after `{*rest}`, which takes the rest",
            ),
            (
                "/a?b=c",
                "path `/a?b=c` has a `?`; it holds no query and no fragment",
            ),
            (
                "/a b",
                "path `/a b` has the character ` `, which it may not hold",
            ),
            (
                "/__underlay/x",
                "path `/__underlay/x` lies under `/__underlay`, which is reserved",
            ),
        ] {
            assert_eq!(EndpointPath::parse(text), Err(expected.to_owned()));
        }
    }

    /// All pairs of paths of up to three of these segments: we say what axum's router does.
    #[test]
    fn conflicts_are_those_of_the_router() {
        let parts = ["a", "b", "{x}", "{y}", "a{x}", "{*x}", "{*y}", "a{*y}"];
        let mut paths = vec![(path("/"), "/".to_owned())];
        let mut longest: Vec<String> = vec![String::new()];
        for _ in 0..3 {
            longest = longest
                .iter()
                .flat_map(|start| parts.map(|part| format!("{start}/{part}")))
                .filter(|it| EndpointPath::parse(it).is_ok())
                .collect();
            paths.extend(longest.iter().map(|it| (path(it), it.clone())));
        }
        let mut conflicting = 0;
        for (a, a_text) in &paths {
            for (b, b_text) in &paths {
                let mut router = matchit::Router::new();
                router.insert(a_text, ()).unwrap();
                let refused = router.insert(b_text, ()).is_err();
                conflicting += usize::from(refused);
                assert_eq!(conflicts(a, b), refused, "{a_text} {b_text}");
            }
        }
        assert!(
            paths.len() > 100 && conflicting > 200,
            "{} {conflicting}",
            paths.len()
        );
    }
}
