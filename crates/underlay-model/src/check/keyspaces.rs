//! The rules about keyspaces: their cluster is declared, patterns fit their keys, and no two in a cluster clash.
//!
//! It does not know how keys are encoded.

use std::collections::{BTreeMap, BTreeSet};

use super::Problems;
use crate::duration;
use crate::key_pattern::{KeyPattern, Segment, conflicts};
use crate::model::{Keyspace, Model};
use crate::nearest::did_you_mean;

pub(super) fn check(model: &Model, problems: &mut Problems) {
    let caches: BTreeSet<&str> = model.caches.iter().map(|it| it.name.as_str()).collect();
    let mut by_cache: BTreeMap<&str, Vec<(KeyPattern, &Keyspace)>> = BTreeMap::new();
    for keyspace in &model.keyspaces {
        let (name, cache, source) = (&keyspace.name, &keyspace.cache, &keyspace.source);
        if !caches.contains(cache.as_str()) {
            problems.error(
                format!(
                    "keyspace `{name}` is in the cache `{cache}`, which nothing declares{}",
                    did_you_mean(cache, caches.iter().copied())
                ),
                [source],
            );
        }
        match keyspace.expiry.as_deref().map(duration::parse) {
            Some(Err(error)) => {
                problems.error(format!("the expiry of keyspace `{name}` is wrong: {error}"), [source]);
            }
            Some(Ok(expiry)) if expiry.is_zero() => problems.error(
                format!("the expiry of keyspace `{name}` is zero; leave it away if values shall never expire"),
                [source],
            ),
            _ => {}
        }
        match KeyPattern::parse(&keyspace.pattern) {
            Ok(pattern) => {
                fields(keyspace, &pattern, problems);
                by_cache.entry(cache).or_default().push((pattern, keyspace));
            }
            Err(error) => {
                problems.error(
                    format!("the pattern of keyspace `{name}` is wrong: {error}"),
                    [source],
                );
            }
        }
    }
    for (cache, keyspaces) in by_cache {
        clashes(cache, &keyspaces, problems);
    }
}

/// Reports parameters that are no fields of the key, and fields that are no parameters.
fn fields(keyspace: &Keyspace, pattern: &KeyPattern, problems: &mut Problems) {
    let Keyspace {
        name,
        key,
        key_fields,
        source,
        ..
    } = keyspace;
    for parameter in pattern.parameters() {
        if !key_fields.iter().any(|it| it == parameter) {
            let hint = did_you_mean(parameter, key_fields.iter().map(String::as_str));
            problems.error(
                format!(
                    "the pattern `{pattern}` of keyspace `{name}` has `:{parameter}`, \
                     which is not a field of the key `{key}`{hint}"
                ),
                [source],
            );
        }
    }
    for field in key_fields {
        if !pattern.parameters().any(|it| it == field) {
            problems.error(
                format!(
                    "the pattern `{pattern}` of keyspace `{name}` lacks `:{field}`, a field of the key `{key}`, \
                     so that different keys would be one"
                ),
                [source],
            );
        }
    }
}

/// Reports each pattern that clashes with one before it; in time that is linear unless patterns start alike.
fn clashes(cache: &str, keyspaces: &[(KeyPattern, &Keyspace)], problems: &mut Problems) {
    let mut by_start: BTreeMap<Option<&str>, Vec<usize>> = BTreeMap::new();
    for (i, (pattern, keyspace)) in keyspaces.iter().enumerate() {
        let start = match pattern.segments().first() {
            Some(Segment::Literal(text)) => Some(text.as_str()),
            _ => None,
        };
        // A pattern that starts with a parameter can clash with any, and any with it.
        let candidates: Vec<usize> = match start {
            None => (0..i).collect(),
            Some(_) => {
                let alike = |start| by_start.get(&start).into_iter().flatten().copied();
                let mut candidates: Vec<usize> = alike(None).chain(alike(start)).collect();
                candidates.sort_unstable();
                candidates
            }
        };
        if let Some(other) = candidates
            .into_iter()
            .find(|it| conflicts(&keyspaces[*it].0, pattern))
        {
            let (other_pattern, other) = &keyspaces[other];
            problems.error(
                format!(
                    "keyspaces `{}` and `{}` of cache `{cache}` have conflicting patterns, `{other_pattern}` and \
                     `{pattern}`; start each with a text of its own",
                    other.name, keyspace.name
                ),
                [&keyspace.source, &other.source],
            );
        }
        by_start.entry(start).or_default().push(i);
    }
}
