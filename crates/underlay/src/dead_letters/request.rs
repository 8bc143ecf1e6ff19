//! What somebody outside the program asks of its dead letters, by a job or by the local server's routes, and the one
//! document that answers. It knows neither of the two.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::try_join_all;
use serde::Serialize;
use serde_json::Value;
use underlay_backends::topic::Subscription as Source;

use crate::dead_letters::{DeadLetter, DeadLetters, Sources};
use crate::topic::MessageId;
use crate::{Error, ErrorKind, Result};

/// How many letters are listed, unless somebody says.
const LISTED: usize = 100;
/// How many letters are listed at most, and among how many of the oldest one is looked for.
const MOST: usize = 10_000;
/// How far the letters of a subscription are counted: a broker has to be asked for each of them.
const COUNTED: usize = 1000;
/// How many subscriptions are counted at once.
const AT_ONCE: usize = 8;

const VERBS: [&str; 4] = ["list", "show", "release", "discard"];

/// How the words of a request are written.
pub(crate) const FORM: &str = "`list [<topic>/<subscription>] [--limit <number>]`, `show <topic>/<subscription> <id>`, \
                               `release <topic>/<subscription> <id>|--all` or `discard <topic>/<subscription> <id>|--all`";

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// How many letters each subscription has.
    Counts,
    /// The oldest letters of one subscription.
    List { of: Of, limit: usize },
    /// One letter with its message.
    Show { of: Of, id: String },
    /// Letters are delivered again.
    Release { of: Of, which: Which },
    /// Letters are removed for good.
    Discard { of: Of, which: Which },
}

/// A subscription by its topic's name and its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Of {
    pub(crate) topic: String,
    pub(crate) subscription: String,
}

/// Which letters are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    One(String),
    All,
}

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.subscription)
    }
}

/// What is answered, as JSON.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Answer {
    Counts {
        subscriptions: Vec<Count>,
        /// A count that is as high may be higher.
        counted_up_to: usize,
    },
    List {
        topic: String,
        subscription: String,
        dead_letters: Vec<Letter>,
        /// Whether there are more than the limit.
        more: bool,
    },
    Show {
        topic: String,
        subscription: String,
        dead_letter: Letter,
    },
    Released {
        topic: String,
        subscription: String,
        released: usize,
    },
    Discarded {
        topic: String,
        subscription: String,
        discarded: usize,
    },
}

/// How many letters a subscription has.
#[derive(Debug, Serialize)]
pub(crate) struct Count {
    topic: String,
    subscription: String,
    dead_letters: usize,
}

/// A dead letter as JSON has it.
#[derive(Debug, Serialize)]
pub(crate) struct Letter {
    id: MessageId,
    attempts: u32,
    /// In RFC 3339 and UTC.
    failed_at: String,
    reason: String,
    ordering_key: Option<String>,
    attributes: BTreeMap<String, String>,
    #[serde(flatten)]
    body: Body,
}

/// The message in the first form that keeps all of it.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Body {
    Message(Value),
    Text(String),
    Hex(String),
}

impl From<DeadLetter> for Letter {
    fn from(letter: DeadLetter) -> Self {
        Self {
            id: letter.id,
            attempts: letter.attempts,
            failed_at: rfc_3339(letter.failed_at),
            reason: letter.reason,
            ordering_key: letter.ordering_key,
            attributes: letter.attributes,
            body: Body::of(&letter.body),
        }
    }
}

impl Body {
    fn of(bytes: &[u8]) -> Self {
        match (serde_json::from_slice(bytes), std::str::from_utf8(bytes)) {
            (Ok(message), _) => Self::Message(message),
            (Err(_), Ok(text)) => Self::Text(text.to_owned()),
            (Err(_), Err(_)) => Self::Hex(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        }
    }
}

impl Request {
    /// Reads the words of a request, in the order of [`FORM`].
    ///
    /// # Errors
    ///
    /// What is wrong with them, as half a sentence.
    pub(crate) fn parse(words: &str) -> Result<Self, String> {
        let mut words = words.split_whitespace();
        let verb = words.next().ok_or("it does not say what to do")?;
        if !VERBS.contains(&verb) {
            return Err(format!("there is no `{verb}`"));
        }
        let mut of = None;
        let mut id = None;
        let mut all = false;
        let mut limit = None;
        while let Some(word) = words.next() {
            match word {
                "--all" if matches!(verb, "release" | "discard") => all = true,
                "--limit" if verb == "list" => {
                    let number = words.next().ok_or("`--limit` has no number after it")?;
                    limit = Some(number.parse().map_err(|_| {
                        format!("`--limit` is `{number}`, which is not a number of letters")
                    })?);
                }
                word if word.starts_with("--") => {
                    return Err(format!("`{verb}` has no option `{word}`"));
                }
                word if of.is_none() => of = Some(Of::parse(word)?),
                word if id.is_none() && verb != "list" => id = Some(word.to_owned()),
                word => return Err(format!("`{word}` is one word too many")),
            }
        }
        let Some(of) = of else {
            return match (verb, limit) {
                ("list", None) => Ok(Self::Counts),
                ("list", Some(_)) => Err("`--limit` needs a subscription".to_owned()),
                _ => Err(format!("`{verb}` needs a subscription")),
            };
        };
        let which = match (id, all) {
            (Some(_), true) => return Err("it names a letter and says `--all`".to_owned()),
            (Some(id), false) => Some(Which::One(id)),
            (None, true) => Some(Which::All),
            (None, false) => None,
        };
        match (verb, which) {
            ("list", _) => Self::list(of, limit).map_err(|error| error.to_string()),
            ("show", Some(Which::One(id))) => Ok(Self::Show { of, id }),
            ("release", Some(which)) => Ok(Self::Release { of, which }),
            ("discard", Some(which)) => Ok(Self::Discard { of, which }),
            ("show", _) => Err("`show` needs the id of a letter".to_owned()),
            _ => Err(format!("`{verb}` needs the id of a letter, or `--all`")),
        }
    }

    /// The request for the oldest letters of a subscription.
    ///
    /// # Errors
    ///
    /// The limit is out of bounds.
    pub(crate) fn list(of: Of, limit: Option<usize>) -> Result<Self> {
        let limit = limit.unwrap_or(LISTED);
        if (1..=MOST).contains(&limit) {
            return Ok(Self::List { of, limit });
        }
        let text = format!("the limit is {limit}, and must be from 1 to {MOST}");
        Err(Error::new(ErrorKind::InvalidArgument, text))
    }

    /// Does what is asked.
    ///
    /// # Errors
    ///
    /// There is no such subscription or letter, or its broker did not do it.
    pub(crate) async fn answer(self, sources: &Sources) -> Result<Answer> {
        match self {
            Self::Counts => counts(sources).await,
            Self::List { of, limit } => {
                let mut letters = of.letters(sources)?.list(limit + 1).await?;
                let more = letters.len() > limit;
                letters.truncate(limit);
                Ok(Answer::List {
                    topic: of.topic,
                    subscription: of.subscription,
                    dead_letters: letters.into_iter().map(Letter::from).collect(),
                    more,
                })
            }
            Self::Show { of, id } => {
                let letter = find(&of.letters(sources)?, &id).await?;
                let letter = letter.ok_or_else(|| of.no_letter(&id))?;
                Ok(Answer::Show {
                    topic: of.topic,
                    subscription: of.subscription,
                    dead_letter: letter.into(),
                })
            }
            Self::Release { of, which } => {
                let letters = of.letters(sources)?;
                let released = match which {
                    Which::All => letters.release_all().await?,
                    Which::One(id) => match letters.release(&MessageId::new(id.clone())).await? {
                        true => 1,
                        false => return Err(of.no_letter(&id)),
                    },
                };
                Ok(Answer::Released {
                    topic: of.topic,
                    subscription: of.subscription,
                    released,
                })
            }
            Self::Discard { of, which } => {
                let letters = of.letters(sources)?;
                let discarded = match which {
                    Which::All => letters.discard_all().await?,
                    Which::One(id) => match letters.discard(&MessageId::new(id.clone())).await? {
                        true => 1,
                        false => return Err(of.no_letter(&id)),
                    },
                };
                Ok(Answer::Discarded {
                    topic: of.topic,
                    subscription: of.subscription,
                    discarded,
                })
            }
        }
    }
}

impl Of {
    fn parse(word: &str) -> Result<Self, String> {
        match word.split_once('/') {
            Some((topic, subscription)) if !topic.is_empty() && !subscription.is_empty() => {
                Ok(Self {
                    topic: topic.to_owned(),
                    subscription: subscription.to_owned(),
                })
            }
            _ => Err(format!("`{word}` is not `<topic>/<subscription>`")),
        }
    }

    fn letters(&self, sources: &Sources) -> Result<DeadLetters> {
        DeadLetters::of(sources, &self.topic, &self.subscription)
    }

    fn no_letter(&self, id: &str) -> Error {
        let text = format!("there is no dead letter `{id}` of `{self}`");
        Error::new(ErrorKind::NotFound, text)
    }
}

async fn counts(sources: &Sources) -> Result<Answer> {
    let mut subscriptions = Vec::new();
    let all: Vec<_> = sources.iter().collect();
    for some in all.chunks(AT_ONCE) {
        let counts = some.iter().map(|(name, source)| count(name, source));
        subscriptions.extend(try_join_all(counts).await?);
    }
    Ok(Answer::Counts {
        subscriptions,
        counted_up_to: COUNTED,
    })
}

async fn count(
    (topic, subscription): &(String, String),
    source: &Arc<dyn Source>,
) -> Result<Count> {
    let dead_letters = source.dead_letters(COUNTED).await?.len();
    Ok(Count {
        topic: topic.clone(),
        subscription: subscription.clone(),
        dead_letters,
    })
}

/// A letter by its id. Most are found without reading all.
async fn find(letters: &DeadLetters, id: &str) -> Result<Option<DeadLetter>> {
    for limit in [LISTED, MOST] {
        let page = letters.list(limit).await?;
        let is_all = page.len() < limit;
        let found = page.into_iter().find(|letter| letter.id.as_str() == id);
        if found.is_some() || is_all {
            return Ok(found);
        }
    }
    let text = format!(
        "the dead letter `{id}` is not among the oldest {MOST}; release or discard some of those"
    );
    Err(Error::new(ErrorKind::NotFound, text))
}

/// A moment in RFC 3339 and UTC, to the millisecond. What lies outside of the years 1970 to 9999 is moved into them: a
/// broker said it, and it must not stop anything.
fn rfc_3339(moment: SystemTime) -> String {
    let last = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    let moment = moment.clamp(UNIX_EPOCH, last);
    humantime::format_rfc3339_millis(moment).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words() {
        let check = |words: &str, expected: &str| {
            let found = match Request::parse(words) {
                Ok(request) => format!("{request:?}"),
                Err(problem) => problem,
            };
            assert_eq!(found, expected, "{words}");
        };
        let of = "of: Of { topic: \"orders\", subscription: \"billing\" }";
        check("list", "Counts");
        check(
            " list  orders/billing",
            &format!("List {{ {of}, limit: 100 }}"),
        );
        check(
            "list --limit 3 orders/billing",
            &format!("List {{ {of}, limit: 3 }}"),
        );
        check(
            "show orders/billing 0f",
            &format!("Show {{ {of}, id: \"0f\" }}"),
        );
        check(
            "release orders/billing --all",
            &format!("Release {{ {of}, which: All }}"),
        );
        check(
            "discard orders/billing 0f",
            &format!("Discard {{ {of}, which: One(\"0f\") }}"),
        );
        check("", "it does not say what to do");
        check("realese", "there is no `realese`");
        check("list orders", "`orders` is not `<topic>/<subscription>`");
        check(
            "list /billing",
            "`/billing` is not `<topic>/<subscription>`",
        );
        check("list --limit 3", "`--limit` needs a subscription");
        check("list a/b --limit", "`--limit` has no number after it");
        check(
            "list a/b --limit -1",
            "`--limit` is `-1`, which is not a number of letters",
        );
        check(
            "list a/b --limit 0",
            "the limit is 0, and must be from 1 to 10000",
        );
        check("list a/b 0f", "`0f` is one word too many");
        check("list a/b --all", "`list` has no option `--all`");
        check("show a/b", "`show` needs the id of a letter");
        check("show a/b --all", "`show` has no option `--all`");
        check("release", "`release` needs a subscription");
        check(
            "release a/b",
            "`release` needs the id of a letter, or `--all`",
        );
        check("discard a/b 0f --all", "it names a letter and says `--all`");
    }

    #[test]
    fn moments() {
        let check = |millis: u64, expected: &str| {
            assert_eq!(
                rfc_3339(UNIX_EPOCH + Duration::from_millis(millis)),
                expected
            );
        };
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_400_001, "2000-02-29T00:00:00.001Z");
        check(300_000_000_000_000, "9999-12-31T23:59:59.000Z");
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(rfc_3339(before), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn bodies() {
        assert_eq!(Body::of(b"{\"a\":1}"), Body::Message(json!({ "a": 1 })));
        assert_eq!(Body::of(b"{a"), Body::Text("{a".to_owned()));
        assert_eq!(Body::of(&[0xff, 1]), Body::Hex("ff01".to_owned()));
        let letter = Letter::from(DeadLetter {
            id: MessageId::new("7".to_owned()),
            attempts: 3,
            reason: "no".to_owned(),
            failed_at: UNIX_EPOCH,
            attributes: BTreeMap::new(),
            ordering_key: None,
            body: (&b"null"[..]).into(),
        });
        assert_eq!(
            serde_json::to_value(letter).unwrap(),
            json!({
                "id": "7", "attempts": 3, "failed_at": "1970-01-01T00:00:00.000Z", "reason": "no", "ordering_key": null,
                "attributes": {}, "message": null,
            })
        );
    }
}
