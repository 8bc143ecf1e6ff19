//! Which messages of a topic a subscription wants, by their attributes.
//!
//! No more can be said than every broker can keep: Google Pub/Sub's filters and Amazon SNS's filter policies both
//! express a condition for each of several attributes, all of which must hold.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The conditions that a message must meet, one for each attribute; without any, every message meets them.
///
/// # Example
///
/// ```
/// use std::collections::BTreeMap;
/// use underlay_model::filter::{Condition, Filter};
///
/// let filter = Filter(BTreeMap::from([("country".to_owned(), Condition::AnyOf(vec!["DE".to_owned()]))]));
/// assert!(filter.matches(&BTreeMap::from([("country".to_owned(), "DE".to_owned())])));
/// assert!(!filter.matches(&BTreeMap::new()));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Filter(pub BTreeMap<String, Condition>);

/// What is asked of one attribute, which must be there in any case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It is one of these.
    AnyOf(Vec<String>),
    /// It is none of these.
    NoneOf(Vec<String>),
    /// It begins so.
    Prefix(String),
}

impl Filter {
    /// Whether every message meets it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a message with these attributes meets it.
    pub fn matches(&self, attributes: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|(name, condition)| {
            attributes
                .get(name)
                .is_some_and(|value| condition.matches(value))
        })
    }
}

impl Condition {
    /// Whether an attribute with this value meets it.
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::AnyOf(values) => values.iter().any(|it| it == value),
            Self::NoneOf(values) => values.iter().all(|it| it != value),
            Self::Prefix(prefix) => value.starts_with(prefix.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn every_condition_must_hold() {
        let filter: Filter = serde_json::from_str(
            r#"{"country": {"any_of": ["DE", "AT"]}, "kind": {"none_of": ["test"]}, "sku": {"prefix": "A-"}}"#,
        )
        .expect("a filter");
        let wanted = [
            ("country", "AT"),
            ("kind", "order"),
            ("sku", "A-1"),
            ("other", ""),
        ];
        assert!(filter.matches(&attributes(&wanted)));
        for (index, wrong) in ["FR", "test", "B-A-"].into_iter().enumerate() {
            let mut unwanted = wanted;
            unwanted[index].1 = wrong;
            assert!(!filter.matches(&attributes(&unwanted)), "{wrong}");
            let mut missing = wanted.to_vec();
            missing.remove(index);
            assert!(
                !filter.matches(&attributes(&missing)),
                "without {}",
                wanted[index].0
            );
        }
        assert!(Filter::default().matches(&BTreeMap::new()));
    }
}
