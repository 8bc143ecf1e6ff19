//! The rules that need the whole model: what is declared twice, what refers to nothing, what clashes.
//!
//! Macros see one declaration at a time, and documents can be edited by hand; so this also repeats the rules about
//! each entry. It does not know where resources are ([`crate::infra`]) or what a backend can do.

mod endpoints;
mod keyspaces;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{MODEL_VERSION, Model, ResourceKind, Source, Subscription};
use crate::nearest::did_you_mean;
use crate::problem::Problem;
use crate::{delivery, name, schedule};

/// Everything that is wrong with a model, in the order of the document.
///
/// # Example
///
/// ```
/// use underlay_model::{check::check, model::{Application, Model}};
///
/// let application = Application { name: "shop".to_owned(), version: "0.1.0".to_owned() };
/// assert_eq!(check(&Model::empty(application)), []);
/// ```
pub fn check(model: &Model) -> Vec<Problem> {
    let mut problems = Problems(Vec::new());
    if model.underlay_model != MODEL_VERSION {
        problems.error(
            format!(
                "the model document has version {}, but this version of Underlay reads {MODEL_VERSION}",
                model.underlay_model
            ),
            [],
        );
    }
    services(model, &mut problems);
    databases(model, &mut problems);
    topics(model, &mut problems);
    subscriptions(model, &mut problems);
    problems.unique(
        "cron",
        "crons",
        model.crons.iter().map(|it| (it.name.as_str(), &it.source)),
    );
    for cron in &model.crons {
        problems.name("cron", name::check_kebab(&cron.name), &cron.source);
        if let Err(error) = schedule::check(&cron.schedule) {
            problems.error(
                format!("the schedule of cron `{}` is wrong: {error}", cron.name),
                [&cron.source],
            );
        }
    }
    problems.unique(
        "bucket",
        "buckets",
        model
            .buckets
            .iter()
            .map(|it| (it.name.as_str(), &it.source)),
    );
    for bucket in &model.buckets {
        problems.name("bucket", name::check_kebab(&bucket.name), &bucket.source);
    }
    problems.unique(
        "cache",
        "caches",
        model.caches.iter().map(|it| (it.name.as_str(), &it.source)),
    );
    for cache in &model.caches {
        problems.name("cache", name::check_kebab(&cache.name), &cache.source);
    }
    keyspaces::check(model, &mut problems);
    problems.unique(
        "secret",
        "secrets",
        model
            .secrets
            .iter()
            .map(|it| (it.name.as_str(), &it.source)),
    );
    for secret in &model.secrets {
        problems.name(
            "secret",
            name::check_identifier(&secret.name),
            &secret.source,
        );
    }
    endpoints::check(model, &mut problems);
    references(model, &mut problems);
    problems.0
}

/// The problems found so far.
struct Problems(Vec<Problem>);

impl Problems {
    fn error<'a>(&mut self, message: String, sources: impl IntoIterator<Item = &'a Source>) {
        self.0
            .push(Problem::error(message, sources.into_iter().cloned()));
    }

    fn name(&mut self, kind: &str, result: Result<(), String>, source: &Source) {
        if let Err(error) = result {
            self.error(format!("the name of a {kind} is wrong: {error}"), [source]);
        }
    }

    /// Reports names that are there more than once, with all their places.
    fn unique<'a>(
        &mut self,
        kind: &str,
        kinds: &str,
        entries: impl IntoIterator<Item = (&'a str, &'a Source)>,
    ) {
        let mut by_name: BTreeMap<&str, Vec<&Source>> = BTreeMap::new();
        for (name, source) in entries {
            by_name.entry(name).or_default().push(source);
        }
        for (name, sources) in by_name {
            if sources.len() > 1 {
                let times = times(sources.len());
                self.error(
                    format!("{kind} `{name}` is declared {times}; a name is unique among {kinds}"),
                    sources,
                );
            }
        }
    }
}

fn times(count: usize) -> String {
    if count == 2 {
        "twice".to_owned()
    } else {
        format!("{count} times")
    }
}

fn services(model: &Model, problems: &mut Problems) {
    let named = || {
        model
            .services
            .iter()
            .filter_map(|it| Some((it, it.source.as_ref()?)))
    };
    problems.unique(
        "service",
        "services",
        named().map(|(it, source)| (it.name.as_str(), source)),
    );
    for (service, source) in named() {
        problems.name("service", name::check_kebab(&service.name), source);
        // A package of the same name that declares outside of the named service is a second service of that name.
        let inside = |it: &Source| {
            it.module
                .strip_prefix(&service.module)
                .is_some_and(|it| it.is_empty() || it.starts_with("::"))
        };
        let outside =
            entries(model).find(|(name, source)| *name == service.name && !inside(source));
        let only = named().filter(|(it, _)| it.name == service.name).count() == 1;
        if let Some((_, other)) = outside
            && only
        {
            problems.error(
                format!(
                    "service `{}` has the name of the package `{}`, which declares outside of it; rename the service",
                    service.name, other.package
                ),
                [source, other],
            );
        }
    }
}

/// The service and the place of each entry.
fn entries(model: &Model) -> impl Iterator<Item = (&str, &Source)> {
    macro_rules! of {
        ($list:ident) => {
            model
                .$list
                .iter()
                .map(|it| (it.service.as_str(), &it.source))
        };
    }
    of!(databases)
        .chain(of!(topics))
        .chain(of!(subscriptions))
        .chain(of!(crons))
        .chain(of!(buckets))
        .chain(of!(caches))
        .chain(of!(keyspaces))
        .chain(of!(secrets))
        .chain(of!(endpoints))
        .chain(of!(references))
}

fn databases(model: &Model, problems: &mut Problems) {
    let entries = model
        .databases
        .iter()
        .map(|it| (it.name.as_str(), &it.source));
    problems.unique("database", "databases", entries);
    let mut by_folded: BTreeMap<String, BTreeMap<&str, &Source>> = BTreeMap::new();
    for database in &model.databases {
        let folded = by_folded
            .entry(database.name.replace('-', "_"))
            .or_default();
        folded.entry(&database.name).or_insert(&database.source);
    }
    for alike in by_folded.into_values().filter(|it| it.len() > 1) {
        let names: Vec<String> = alike.keys().map(|it| format!("`{it}`")).collect();
        problems.error(
            format!(
                "databases {} differ only in `-` and `_`; rename one",
                names.join(" and ")
            ),
            alike.into_values(),
        );
    }
    for database in &model.databases {
        problems.name(
            "database",
            name::check_snake_or_kebab(&database.name),
            &database.source,
        );
        let mut seen = BTreeSet::new();
        let mut twice = BTreeSet::new();
        for migration in &database.migrations {
            if !seen.insert(migration.number) {
                twice.insert(migration.number);
            }
        }
        for number in twice {
            problems.error(
                format!(
                    "migration number {number} of database `{}` is there twice",
                    database.name
                ),
                [&database.source],
            );
        }
    }
}

fn topics(model: &Model, problems: &mut Problems) {
    problems.unique(
        "topic",
        "topics",
        model.topics.iter().map(|it| (it.name.as_str(), &it.source)),
    );
    for topic in &model.topics {
        problems.name("topic", name::check_kebab(&topic.name), &topic.source);
        if let Some(ordered_by) = &topic.ordered_by
            && !topic.attributes.contains(ordered_by)
        {
            problems.error(
                format!(
                    "topic `{}` is ordered by `{ordered_by}`, which is not an attribute of its message{}",
                    topic.name,
                    did_you_mean(ordered_by, topic.attributes.iter().map(String::as_str))
                ),
                [&topic.source],
            );
        }
        for attribute in &topic.attributes {
            if attribute.starts_with(name::RESERVED_PREFIX) {
                problems.error(
                    format!(
                        "topic `{}` has the message attribute `{attribute}`; `{}` is reserved as a start",
                        topic.name,
                        name::RESERVED_PREFIX
                    ),
                    [&topic.source],
                );
            }
        }
    }
}

fn subscriptions(model: &Model, problems: &mut Problems) {
    let mut by_name: BTreeMap<(&str, &str), Vec<&Source>> = BTreeMap::new();
    for it in &model.subscriptions {
        by_name
            .entry((&it.topic, &it.name))
            .or_default()
            .push(&it.source);
    }
    for ((topic, name), sources) in by_name {
        if sources.len() > 1 {
            let times = times(sources.len());
            problems.error(
                format!(
                    "subscription `{name}` to topic `{topic}` is declared {times}; \
                     a name is unique among a topic's subscriptions"
                ),
                sources,
            );
        }
    }
    let topics: BTreeSet<&str> = model.topics.iter().map(|it| it.name.as_str()).collect();
    for subscription in &model.subscriptions {
        let (name, topic, source) = (
            &subscription.name,
            &subscription.topic,
            &subscription.source,
        );
        problems.name("subscription", name::check_kebab(name), source);
        if !topics.contains(topic.as_str()) {
            problems.error(
                format!(
                    "subscription `{name}` is to the topic `{topic}`, which nothing declares{}",
                    did_you_mean(topic, topics.iter().copied())
                ),
                [source],
            );
        }
        if let Some(topic) = model.topics.iter().find(|it| it.name == *topic) {
            for attribute in subscription.filter.0.keys() {
                if !topic.attributes.contains(attribute) {
                    problems.error(
                        format!(
                            "subscription `{name}` filters on `{attribute}`, which is not an attribute of the message of topic \
                             `{}`{}",
                            topic.name,
                            did_you_mean(attribute, topic.attributes.iter().map(String::as_str))
                        ),
                        [source],
                    );
                }
            }
        }
        if let Some(database) = &subscription.idempotent_in {
            idempotent_in(model, subscription, database, problems);
        }
        for problem in delivery::check(&subscription.delivery) {
            problems.error(
                format!(
                    "subscription `{name}` to topic `{topic}`: {}",
                    problem.message
                ),
                [source],
            );
        }
    }
}

/// The record of what was handled is the service's own: in a database that it declares.
fn idempotent_in(
    model: &Model,
    subscription: &Subscription,
    database: &str,
    problems: &mut Problems,
) {
    let Subscription {
        name,
        service,
        source,
        ..
    } = subscription;
    let declared = model.databases.iter().find(|it| it.name == database);
    match declared {
        Some(declared) if declared.service == *service => {}
        Some(declared) => problems.error(
            format!(
                "subscription `{name}` of service `{service}` is idempotent in the database `{database}`, which belongs to \
                 service `{}`; name a database of its own",
                declared.service
            ),
            [source, &declared.source],
        ),
        None => {
            let names = model.databases.iter().map(|it| it.name.as_str());
            problems.error(
                format!(
                    "subscription `{name}` is idempotent in the database `{database}`, which nothing declares{}",
                    did_you_mean(database, names)
                ),
                [source],
            );
        }
    }
}

fn references(model: &Model, problems: &mut Problems) {
    let names = |kind| -> BTreeSet<&str> {
        match kind {
            ResourceKind::Database => model.databases.iter().map(|it| it.name.as_str()).collect(),
            ResourceKind::Topic => model.topics.iter().map(|it| it.name.as_str()).collect(),
            ResourceKind::Bucket => model.buckets.iter().map(|it| it.name.as_str()).collect(),
            ResourceKind::Cache => model.caches.iter().map(|it| it.name.as_str()).collect(),
        }
    };
    for kind in ResourceKind::ALL {
        let names = names(kind);
        for reference in model.references.iter().filter(|it| it.kind == kind) {
            let resource = reference.resource.as_str();
            if !names.contains(resource) {
                problems.error(
                    format!(
                        "reference `{}` is to the {kind} `{resource}`, which nothing declares{}",
                        reference.name,
                        did_you_mean(resource, names.iter().copied())
                    ),
                    [&reference.source],
                );
            }
        }
    }
}

#[cfg(test)]
mod tests;
