//! The nearest right word to a misspelt one, for error texts.
//!
//! It does not know what the words stand for.

/// The candidate that `word` most likely means, if one is near enough to be worth naming.
///
/// Near means: equal but for case, `-` and `_`; or so few wrong, missing or swapped letters that two thirds of the
/// word are right; or else that one is the start of the other. Of equally near candidates the first wins.
///
/// # Example
///
/// ```
/// use underlay_model::nearest::nearest;
///
/// assert_eq!(nearest("max_concurency", ["max_concurrency", "max_retries"]), Some("max_concurrency"));
/// assert_eq!(nearest("colour", ["max_concurrency", "max_retries"]), None);
/// ```
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(word);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let other = fold(candidate);
        let distance = strsim::damerau_levenshtein(&folded, &other);
        let longest = folded.chars().count().max(other.chars().count());
        let is_start = folded.len().min(other.len()) >= 4
            && (folded.starts_with(&other) || other.starts_with(&folded));
        let rank = match distance <= longest / 3 {
            true => Some(distance),
            false => is_start.then_some(usize::MAX),
        };
        if let Some(rank) = rank
            && best.is_none_or(|(least, _)| rank < least)
        {
            best = Some((rank, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// The tail of an error text that names the nearest candidate: ``; did you mean `x`?``, or nothing.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map_or_else(String::new, |it| format!("; did you mean `{it}`?"))
}

/// What is left of a word when case and separators are ignored.
fn fold(word: &str) -> String {
    word.chars()
        .filter(|it| !matches!(it, '-' | '_' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_near_and_nothing_else() {
        let options = [
            "max_concurrency",
            "ack_deadline",
            "retention",
            "min_backoff",
            "max_backoff",
        ];
        for (word, expected) in [
            ("max_concurrency", Some("max_concurrency")),
            ("maxConcurrency", Some("max_concurrency")),
            ("max-concurrency", Some("max_concurrency")),
            ("ack_dealdine", Some("ack_deadline")),
            ("retension", Some("retention")),
            ("max_backof", Some("max_backoff")),
            ("min_backof", Some("min_backoff")),
            ("priority", None),
            ("", None),
            ("x", None),
            ("ack", None),
            ("deadline", Some("ack_deadline")),
            ("ack_", None),
            ("ackd", Some("ack_deadline")),
            ("retention_of_messages", Some("retention")),
        ] {
            assert_eq!(nearest(word, options), expected, "{word}");
        }
    }

    #[test]
    fn the_first_of_equals_wins() {
        assert_eq!(nearest("cat", ["bat", "hat"]), Some("bat"));
        assert_eq!(did_you_mean("cat", ["bat"]), "; did you mean `bat`?");
        assert_eq!(did_you_mean("cat", ["elephant"]), "");
    }
}
