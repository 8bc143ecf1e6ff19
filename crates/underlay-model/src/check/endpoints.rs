//! The rules about endpoints: paths and methods that the router takes, each once.
//!
//! It does not know who may call an endpoint or what it does.

use std::collections::BTreeMap;

use super::Problems;
use crate::endpoint_path::{EndpointPath, Segment, conflicts};
use crate::model::{Endpoint, Model};
use crate::nearest::did_you_mean;

/// The methods that axum routes. `*` stands for all.
const METHODS: [&str; 10] = [
    "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE", "*",
];

/// The leading texts of a path with the text before its first parameter, if it has one: paths that clash have the
/// same.
type Start<'a> = (Vec<&'a str>, Option<&'a str>);

pub(super) fn check(model: &Model, problems: &mut Problems) {
    let mut paths: Vec<(EndpointPath, &Endpoint)> = Vec::new();
    for endpoint in &model.endpoints {
        methods(endpoint, problems);
        match EndpointPath::parse(&endpoint.path) {
            Ok(path) => paths.push((path, endpoint)),
            Err(error) => problems.error(
                format!("the path of endpoint `{}` is wrong: {error}", endpoint.name),
                [&endpoint.source],
            ),
        }
    }
    let mut by_start: BTreeMap<Start<'_>, Vec<usize>> = BTreeMap::new();
    for (i, (path, endpoint)) in paths.iter().enumerate() {
        let before = by_start.entry(start(path)).or_default();
        let clash = before.iter().find_map(|it| {
            let (other_path, other) = &paths[*it];
            let message = clash(path, endpoint, other_path, other)?;
            Some((message, *other))
        });
        if let Some((message, other)) = clash {
            problems.error(message, [&endpoint.source, &other.source]);
        }
        before.push(i);
    }
}

fn methods(endpoint: &Endpoint, problems: &mut Problems) {
    if endpoint.methods.is_empty() {
        problems.error(
            format!("endpoint `{}` has no method", endpoint.name),
            [&endpoint.source],
        );
    }
    for method in &endpoint.methods {
        if !METHODS.contains(&method.as_str()) {
            problems.error(
                format!(
                    "endpoint `{}` has the unknown method `{method}`{}",
                    endpoint.name,
                    did_you_mean(method, METHODS)
                ),
                [&endpoint.source],
            );
        }
    }
}

fn start(path: &EndpointPath) -> Start<'_> {
    let mut texts = Vec::new();
    for segment in path.segments() {
        match segment {
            Segment::Literal(text) => texts.push(text.as_str()),
            Segment::Parameter { prefix, .. } | Segment::Rest { prefix, .. } => {
                return (texts, Some(prefix));
            }
        }
    }
    (texts, None)
}

fn clash(
    path: &EndpointPath,
    endpoint: &Endpoint,
    other_path: &EndpointPath,
    other: &Endpoint,
) -> Option<String> {
    if path == other_path {
        let any = |it: &Endpoint| it.methods.iter().any(|it| it == "*");
        let shared = if any(endpoint) {
            other.methods.first()
        } else if any(other) {
            endpoint.methods.first()
        } else {
            endpoint
                .methods
                .iter()
                .find(|it| other.methods.contains(it))
        };
        return Some(format!(
            "endpoints `{}` and `{}` both handle {} {path}; give one another path or method",
            other.name, endpoint.name, shared?
        ));
    }
    let is_rest = |it: &EndpointPath| matches!(it.segments().last(), Some(Segment::Rest { .. }));
    conflicts(path, other_path).then(|| {
        let why = if is_rest(path) != is_rest(other_path) {
            "of which one takes the rest where the other has a parameter"
        } else {
            "which differ only in the names of parameters; use the same names"
        };
        format!(
            "endpoints `{}` and `{}` have the conflicting paths `{other_path}` and `{path}`, {why}",
            other.name, endpoint.name
        )
    })
}
