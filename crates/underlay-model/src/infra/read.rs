//! Reads a JSON document into types and reports everything that is wrong with it at once.
//!
//! serde stops at the first problem. [`Read`] does not: a value that cannot be read is reported, a placeholder stands
//! for it, and reading goes on. [`readable`] writes the implementations; its lists of fields cannot lag behind the
//! types, since the compiler wants each field of a struct literal and each variant of a match.
//! This file does not know what is in the infra config, nor the environment: the caller gives a function.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use super::SecretText;
use crate::nearest::did_you_mean;

/// The field that stands for a text in the environment.
const ENV: &str = "$env";

/// One thing that is wrong with an infra config, and where in the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Where: `sql_servers[0].databases.orders.password`; empty for the whole document.
    pub path: String,
    /// What is wrong and what to do. Never the value of a field that may be secret, or of an environment variable.
    pub message: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, message } = self;
        if path.is_empty() {
            f.write_str(message)
        } else {
            write!(f, "{path}: {message}")
        }
    }
}

impl std::error::Error for ConfigProblem {}

/// The path of a field of what is at `base`.
pub(super) fn field_path(base: &str, name: &str) -> String {
    let plain = name
        .bytes()
        .all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-' | b'$'));
    match (plain && !name.is_empty(), base.is_empty()) {
        (true, true) => name.to_owned(),
        (true, false) => format!("{base}.{name}"),
        (false, _) => format!("{base}[{name:?}]"),
    }
}

/// A type that can be read from a JSON value.
pub(super) trait Read: Sized {
    /// What stands for a value that cannot be read.
    fn placeholder() -> Self;

    /// What it means that the value is not there; `None` if it must be.
    fn absent() -> Option<Self> {
        None
    }

    /// Reads a value; what is wrong is reported to `reader`, and placeholders stand for it.
    fn read(value: &Value, reader: &mut Reader<'_>) -> Self;
}

/// What has been found so far, and where we are.
pub(super) struct Reader<'a> {
    env: &'a dyn Fn(&str) -> Option<String>,
    path: String,
    problems: Vec<ConfigProblem>,
    /// The paths for whose values placeholders stand.
    unreadable: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            env,
            path: String::new(),
            problems: Vec::new(),
            unreadable: Vec::new(),
        }
    }

    pub(super) fn into_problems(self) -> Vec<ConfigProblem> {
        self.problems
    }

    /// Reports a problem with what has been read, unless it is about a placeholder.
    pub(super) fn report(&mut self, path: String, message: String) {
        let inside = |outer: &String| {
            path.strip_prefix(outer.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        if !self.unreadable.iter().any(inside) {
            self.problems.push(ConfigProblem { path, message });
        }
    }

    /// Reports that the value here cannot be read.
    fn unreadable(&mut self, message: String) {
        self.unreadable.push(self.path.clone());
        self.problems.push(ConfigProblem {
            path: self.path.clone(),
            message,
        });
    }

    fn unexpected(&mut self, expected: &str, found: &Value) {
        self.unreadable(format!("expected {expected}, found {}", kind(found)));
    }

    /// Does something at a field of what is here.
    fn at<T>(&mut self, path: String, act: impl FnOnce(&mut Self) -> T) -> T {
        let outer = std::mem::replace(&mut self.path, path);
        let result = act(self);
        self.path = outer;
        result
    }

    fn read_field<T: Read>(&mut self, name: &str, value: &Value) -> T {
        self.at(field_path(&self.path, name), |reader| {
            T::read(value, reader)
        })
    }

    /// The object here.
    pub(super) fn object<'v>(&mut self, value: &'v Value) -> Option<Object<'v>> {
        match value {
            Value::Object(fields) if env_name(value).is_none() => Some(Object {
                fields,
                known: Vec::new(),
            }),
            _ => {
                self.unexpected("an object", value);
                None
            }
        }
    }

    /// The text here, and whether it stands in the document itself.
    fn text(&mut self, value: &Value) -> Option<(String, bool)> {
        if let Value::String(text) = value {
            return Some((text.clone(), true));
        }
        let Some(name) = env_name(value) else {
            self.unexpected(r#"a text or {"$env": "NAME"}"#, value);
            return None;
        };
        self.variable(value, name).map(|text| (text, false))
    }

    /// The text of the environment variable that `{"$env": name}` names.
    fn variable(&mut self, value: &Value, name: &Value) -> Option<String> {
        let Some(name) = name.as_str().filter(|it| !it.is_empty()) else {
            self.unreadable(format!(
                "`{ENV}` is the name of an environment variable, found {}",
                kind(name)
            ));
            return None;
        };
        if value.as_object().is_some_and(|it| it.len() > 1) {
            self.unreadable(format!(
                "`{ENV}` stands alone, but there are other fields beside it"
            ));
            return None;
        }
        let text = (self.env)(name);
        if text.is_none() {
            self.unreadable(format!("the environment variable `{name}` is not set"));
        }
        text
    }

    /// Which of some names the text here is.
    pub(super) fn one_of(
        &mut self,
        value: &Value,
        what: &str,
        names: &[&'static str],
    ) -> Option<&'static str> {
        let (text, literal) = self.text(value)?;
        if let Some(name) = names.iter().find(|it| **it == text) {
            return Some(name);
        }
        let list = list(names);
        self.unreadable(if literal {
            let hint = did_you_mean(&text, names.iter().copied());
            format!("`{text}` is not a supported {what}; supported are {list}{hint}")
        } else {
            format!(
                "the environment variable does not hold a supported {what}; supported are {list}"
            )
        });
        None
    }
}

/// An object that is being read. It notes the fields that were asked for: those are the known ones.
pub(super) struct Object<'v> {
    fields: &'v Map<String, Value>,
    known: Vec<&'static str>,
}

impl<'v> Object<'v> {
    /// Reads a field; `absent` is what its absence means.
    pub(super) fn field<T: Read>(
        &mut self,
        name: &'static str,
        absent: impl FnOnce() -> Option<T>,
        reader: &mut Reader<'_>,
    ) -> T {
        match (self.get(name), absent()) {
            (None | Some(Value::Null), Some(absent)) => absent,
            (Some(value), _) => reader.read_field(name, value),
            (None, None) => {
                reader.at(field_path(&reader.path, name), |reader| {
                    reader.unreadable("is missing".to_owned())
                });
                T::placeholder()
            }
        }
    }

    /// Reads the field `type`. Without it, nothing of the object is known.
    pub(super) fn tag(
        &mut self,
        what: &str,
        names: &[&'static str],
        reader: &mut Reader<'_>,
    ) -> Option<&'static str> {
        let at = field_path(&reader.path, "type");
        let tag = match self.get("type") {
            Some(value) => reader.at(at, |reader| reader.one_of(value, what, names)),
            None => {
                reader.at(at, |reader| {
                    reader.unreadable(format!("is missing; it is one of {}", list(names)))
                });
                None
            }
        };
        if tag.is_none() {
            reader.unreadable.push(reader.path.clone());
        }
        tag
    }

    /// Reports the fields that nobody asked for.
    pub(super) fn finish(self, reader: &mut Reader<'_>) {
        for name in self.fields.keys() {
            if !self.known.contains(&name.as_str()) {
                let hint = did_you_mean(name, self.known.iter().copied());
                let message = match hint.as_str() {
                    "" => format!("unknown field; known are {}", list(&self.known)),
                    hint => format!("unknown field{hint}"),
                };
                reader.report(field_path(&reader.path, name), message);
            }
        }
    }

    fn get(&mut self, name: &'static str) -> Option<&'v Value> {
        self.known.push(name);
        self.fields.get(name)
    }
}

/// The value of `$env`, if there is one.
fn env_name(value: &Value) -> Option<&Value> {
    value.as_object()?.get(ENV)
}

fn list(names: &[&str]) -> String {
    names
        .iter()
        .map(|it| format!("`{it}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(text) if text.is_empty() => "an empty text",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) if env_name(value).is_some() => {
            r#"{"$env": …}, which stands for texts and maps only"#
        }
        Value::Object(_) => "an object",
    }
}

impl Read for String {
    fn placeholder() -> Self {
        Self::new()
    }

    fn read(value: &Value, reader: &mut Reader<'_>) -> Self {
        reader.text(value).map(|(text, _)| text).unwrap_or_default()
    }
}

impl Read for SecretText {
    fn placeholder() -> Self {
        Self(String::new())
    }

    fn read(value: &Value, reader: &mut Reader<'_>) -> Self {
        Self(String::read(value, reader))
    }
}

impl Read for bool {
    fn placeholder() -> Self {
        false
    }

    fn absent() -> Option<Self> {
        Some(false)
    }

    fn read(value: &Value, reader: &mut Reader<'_>) -> Self {
        value.as_bool().unwrap_or_else(|| {
            reader.unexpected("`true` or `false`", value);
            false
        })
    }
}

impl Read for u32 {
    fn placeholder() -> Self {
        0
    }

    fn read(value: &Value, reader: &mut Reader<'_>) -> Self {
        let number = value.as_u64().map(Self::try_from);
        match (number, value) {
            (Some(Ok(number)), _) => return number,
            (Some(Err(_)), _) => {
                reader.unreadable("expected a whole number, found one that is too large".to_owned())
            }
            (None, Value::Number(number)) => {
                let found = if number.as_i64().is_some() {
                    "a negative one"
                } else {
                    "one with a fraction"
                };
                reader.unreadable(format!("expected a whole number, found {found}"));
            }
            (None, _) => reader.unexpected("a whole number", value),
        }
        0
    }
}

/// A small number, whose bounds are checked later: what does not fit is the largest, and out of bounds.
impl Read for u8 {
    fn placeholder() -> Self {
        0
    }

    fn read(value: &Value, reader: &mut Reader<'_>) -> Self {
        Self::try_from(u32::read(value, reader)).unwrap_or(Self::MAX)
    }
}

impl<T: Read> Read for Option<T> {
    fn placeholder() -> Self {
        None
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn read(value: &Value, reader: &mut Reader<'_>) -> Self {
        Some(T::read(value, reader))
    }
}

impl<T: Read> Read for Vec<T> {
    fn placeholder() -> Self {
        Self::new()
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }

    fn read(value: &Value, reader: &mut Reader<'_>) -> Self {
        let Value::Array(items) = value else {
            reader.unexpected("a list", value);
            return Self::new();
        };
        let read = |(i, item)| {
            reader.at(format!("{}[{i}]", reader.path), |reader| {
                T::read(item, reader)
            })
        };
        items.iter().enumerate().map(read).collect()
    }
}

/// A map may also be `{"$env": "NAME"}`: then the variable holds it, as JSON. Encore documents that for secrets.
impl<T: Read> Read for BTreeMap<String, T> {
    fn placeholder() -> Self {
        Self::new()
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }

    fn read(value: &Value, reader: &mut Reader<'_>) -> Self {
        let in_variable;
        let fields = match (value, env_name(value)) {
            (_, Some(name)) => {
                let Some(text) = reader.variable(value, name) else {
                    return Self::new();
                };
                in_variable = match serde_json::from_str::<Map<String, Value>>(&text) {
                    Ok(fields) => fields,
                    Err(error) => {
                        let name = name.as_str().unwrap_or_default();
                        // The error's text may quote the value, its position does not.
                        let (line, column) = (error.line(), error.column());
                        reader.unreadable(format!(
                            "the environment variable `{name}` does not hold a JSON object \
                             (line {line}, column {column})"
                        ));
                        return Self::new();
                    }
                };
                &in_variable
            }
            (Value::Object(fields), None) => fields,
            _ => {
                reader.unexpected("an object", value);
                return Self::new();
            }
        };
        fields
            .iter()
            .map(|(name, value)| (name.clone(), reader.read_field(name, value)))
            .collect()
    }
}

/// Any JSON, for what is read and ignored.
impl Read for Value {
    fn placeholder() -> Self {
        Self::Null
    }

    fn read(value: &Value, _: &mut Reader<'_>) -> Self {
        value.clone()
    }
}

/// Implements [`Read`].
///
/// - `struct T { a, b or 0, c as "$c" }`: an object with these fields. `or` gives what the absence of a field means
///   when its type does not.
/// - `enum T "kind of thing" { A "a" { x, y }, B "b" {} }`: an object whose field `type` names the variant.
/// - `names T "kind of thing" { A "a", B "b" }`: one of some texts.
macro_rules! readable {
    (struct $ty:ident { $($field:ident $(as $name:literal)? $(or $absent:expr)?),* $(,)? }) => {
        impl $crate::infra::read::Read for $ty {
            fn placeholder() -> Self {
                Self { $($field: $crate::infra::read::Read::placeholder()),* }
            }

            #[allow(unused_mut, reason = "a struct may have no field")]
            fn read(value: &serde_json::Value, reader: &mut $crate::infra::read::Reader<'_>) -> Self {
                let Some(mut object) = reader.object(value) else { return Self::placeholder() };
                let read = Self {
                    $($field: object.field(
                        readable!(@name $field $($name)?),
                        readable!(@absent $($absent)?),
                        reader,
                    )),*
                };
                object.finish(reader);
                read
            }
        }
    };
    (enum $ty:ident $what:literal {
        $first:ident $first_name:literal { $($first_field:ident),* }
        $(, $variant:ident $name:literal { $($field:ident),* })* $(,)?
    }) => {
        impl $ty {
            fn read_fields(
                object: &mut $crate::infra::read::Object<'_>,
                reader: &mut $crate::infra::read::Reader<'_>,
            ) -> Option<Self> {
                Some(match object.tag($what, &[$first_name $(, $name)*], reader)? {
                    $($name => Self::$variant {
                        $($field: object.field(stringify!($field), readable!(@absent), reader)),*
                    },)*
                    _ => Self::$first {
                        $($first_field: object.field(stringify!($first_field), readable!(@absent), reader)),*
                    },
                })
            }
        }

        impl $crate::infra::read::Read for $ty {
            fn placeholder() -> Self {
                Self::$first { $($first_field: $crate::infra::read::Read::placeholder()),* }
            }

            fn read(value: &serde_json::Value, reader: &mut $crate::infra::read::Reader<'_>) -> Self {
                let Some(mut object) = reader.object(value) else { return Self::placeholder() };
                let Some(read) = Self::read_fields(&mut object, reader) else { return Self::placeholder() };
                object.finish(reader);
                read
            }
        }

        const _: fn(&$ty) = |it| match it {
            $ty::$first { .. } => {}
            $($ty::$variant { .. } => {})*
        };
    };
    (names $ty:ident $what:literal { $first:ident $first_name:literal $(, $variant:ident $name:literal)* $(,)? }) => {
        impl $crate::infra::read::Read for $ty {
            fn placeholder() -> Self {
                Self::$first
            }

            fn read(value: &serde_json::Value, reader: &mut $crate::infra::read::Reader<'_>) -> Self {
                match reader.one_of(value, $what, &[$first_name $(, $name)*]) {
                    $(Some($name) => Self::$variant,)*
                    _ => Self::$first,
                }
            }
        }

        const _: fn(&$ty) = |it| match it {
            $ty::$first => {}
            $($ty::$variant => {})*
        };
    };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $name:literal) => { $name };
    (@absent) => { $crate::infra::read::Read::absent };
    (@absent $absent:expr) => { || Some($absent) };
}
pub(super) use readable;
