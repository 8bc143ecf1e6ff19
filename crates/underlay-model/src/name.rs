//! The rules that names of resources obey.
//!
//! A name is checked when an attribute is compiled and again when a document is read. This file does not know which
//! kind of resource has which rule; callers choose. Every error is one sentence that shows the name, says what is
//! wrong with it, and suggests a right name where one can be derived.

/// The longest name: what a DNS label, and so every cloud, accepts.
pub const MAX_LEN: usize = 63;

/// What names may not start with, because resources of ours do.
pub const RESERVED_PREFIX: &str = "underlay";

/// Checks a kebab-case name: 1–63 lower-case letters, digits and `-`, starting with a letter, not ending with `-`,
/// not `underlay` nor starting with `underlay-`.
///
/// # Errors
///
/// One sentence that says what is wrong, with a right name where one can be derived.
///
/// # Example
///
/// ```
/// use underlay_model::name::check_kebab;
///
/// assert_eq!(check_kebab("cart-events"), Ok(()));
/// assert_eq!(
///     check_kebab("CartEvents").unwrap_err(),
///     "`CartEvents` is not kebab-case: `C` is neither a lower-case letter, a digit nor `-`; try `cart-events`",
/// );
/// ```
pub fn check_kebab(name: &str) -> Result<(), String> {
    kebab(name).map_err(|problem| with_suggestion(name, &problem, '-', kebab))
}

/// Checks the name of a database: kebab-case as [`check_kebab`] has it, or the same in snake_case; not both, and not
/// a database that every PostgreSQL server has already.
///
/// # Errors
///
/// One sentence that says what is wrong, with a right name where one can be derived.
pub fn check_snake_or_kebab(name: &str) -> Result<(), String> {
    let separator = if name.contains('_') && !name.contains('-') {
        '_'
    } else {
        '-'
    };
    snake_or_kebab(name)
        .map_err(|problem| with_suggestion(name, &problem, separator, snake_or_kebab))
}

/// Checks the name of a secret: 1–63 ASCII letters, digits and `_`, starting with a letter, and not starting with
/// `underlay_` in any case, since such environment variables are ours.
///
/// # Errors
///
/// One sentence that says what is wrong, with a right name where one can be derived.
pub fn check_identifier(name: &str) -> Result<(), String> {
    identifier(name).map_err(|problem| with_suggestion(name, &problem, '_', identifier))
}

/// The kebab-case of a Rust identifier: of a static, a function or a type.
///
/// Raw identifiers lose their `r#`. The result is not checked: `__` has nothing left to name.
///
/// # Example
///
/// ```
/// use underlay_model::name::from_ident;
///
/// assert_eq!(from_ident("CART_EVENTS"), "cart-events");
/// assert_eq!(from_ident("send_confirmation"), "send-confirmation");
/// assert_eq!(from_ident("HttpServer"), "http-server");
/// ```
pub fn from_ident(ident: &str) -> String {
    words(ident.strip_prefix("r#").unwrap_or(ident)).join("-")
}

fn kebab(name: &str) -> Result<(), String> {
    check_len(name)?;
    check_characters(
        name,
        "kebab-case",
        "neither a lower-case letter, a digit nor `-`",
        |it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-',
    )?;
    check_ends(name)?;
    check_reserved(name, '-')
}

fn snake_or_kebab(name: &str) -> Result<(), String> {
    check_len(name)?;
    check_characters(
        name,
        "kebab-case or snake_case",
        "neither a lower-case letter, a digit, `-` nor `_`",
        |it| it.is_ascii_lowercase() || it.is_ascii_digit() || matches!(it, '-' | '_'),
    )?;
    check_ends(name)?;
    if name.contains('-') && name.contains('_') {
        return Err(format!(
            "`{name}` mixes `-` and `_`; a database's name has one of them"
        ));
    }
    if matches!(name, "postgres" | "template0" | "template1") {
        return Err(format!(
            "`{name}` is a database that every PostgreSQL server has already"
        ));
    }
    check_reserved(name, '-')?;
    check_reserved(name, '_')
}

fn identifier(name: &str) -> Result<(), String> {
    check_len(name)?;
    check_characters(
        name,
        "an identifier",
        "neither a letter, a digit nor `_`",
        |it| it.is_ascii_alphanumeric() || it == '_',
    )?;
    if !name.starts_with(|it: char| it.is_ascii_alphabetic()) {
        return Err(format!("`{name}` does not start with a letter"));
    }
    check_reserved(name, '_')
}

fn check_len(name: &str) -> Result<(), String> {
    match name.chars().count() {
        0 => Err(format!(
            "the name is empty; it has 1 to {MAX_LEN} characters"
        )),
        1..=MAX_LEN => Ok(()),
        len => Err(format!(
            "`{name}` has {len} characters; a name has at most {MAX_LEN}"
        )),
    }
}

fn check_characters(
    name: &str,
    style: &str,
    what: &str,
    allowed: impl Fn(char) -> bool,
) -> Result<(), String> {
    match name.chars().find(|it| !allowed(*it)) {
        Some(' ') => Err(format!("`{name}` is not {style}: it holds a space")),
        Some(wrong) => Err(format!(
            "`{name}` is not {style}: `{}` is {what}",
            wrong.escape_debug()
        )),
        None => Ok(()),
    }
}

fn check_ends(name: &str) -> Result<(), String> {
    if !name.starts_with(|it: char| it.is_ascii_lowercase()) {
        return Err(format!("`{name}` does not start with a letter"));
    }
    if name.ends_with(['-', '_']) {
        return Err(format!("`{name}` does not end with a letter or a digit"));
    }
    Ok(())
}

fn check_reserved(name: &str, separator: char) -> Result<(), String> {
    let lower = name.to_ascii_lowercase();
    let reserved = lower
        .strip_prefix(RESERVED_PREFIX)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(separator));
    if reserved {
        return Err(format!(
            "`{name}` starts with `{RESERVED_PREFIX}`, which is reserved"
        ));
    }
    Ok(())
}

/// Adds the name that was probably meant, if it can be derived and is right.
fn with_suggestion(
    name: &str,
    problem: &str,
    separator: char,
    check: impl Fn(&str) -> Result<(), String>,
) -> String {
    let mut words = words(name);
    if words.first().is_some_and(|it| it == RESERVED_PREFIX) {
        words.remove(0);
    }
    let suggestion = words.join(separator.encode_utf8(&mut [0; 4]));
    if suggestion != name && check(&suggestion).is_ok() {
        format!("{problem}; try `{suggestion}`")
    } else {
        problem.to_owned()
    }
}

/// The words of an identifier or a text, in lower case: split where neither a letter nor a digit stands and, unless
/// all is upper case, where a capital starts a word (`HTTPServer` is `http`, `server`).
fn words(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let mixed = characters.iter().any(|it| it.is_lowercase());
    let mut words = vec![String::new()];
    for (i, &character) in characters.iter().enumerate() {
        if !character.is_alphanumeric() {
            words.push(String::new());
            continue;
        }
        let before = i.checked_sub(1).map(|before| characters[before]);
        let starts_word = mixed
            && character.is_uppercase()
            && before.is_some_and(|before| {
                let ends_acronym = characters.get(i + 1).is_some_and(|it| it.is_lowercase());
                !before.is_uppercase() || ends_acronym
            });
        if starts_word {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(character.to_lowercase());
        }
    }
    words.retain(|it| !it.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: fn(&str) -> Result<(), String>, cases: &[(&str, &str)]) {
        for (name, expected) in cases {
            let text = rule(name).err().unwrap_or_default();
            assert_eq!(&text, expected, "{name}");
        }
    }

    #[test]
    fn kebab_case() {
        let long = "a".repeat(64);
        let too_long = format!("`{long}` has 64 characters; a name has at most 63");
        check(
            check_kebab,
            &[
                ("a", ""),
                ("cart-events", ""),
                ("s3-2", ""),
                ("a--b", ""),
                (&long[..63], ""),
                ("underlayment", ""),
                ("", "the name is empty; it has 1 to 63 characters"),
                (&long, &too_long),
                (
                    "CartEvents",
                    "`CartEvents` is not kebab-case: `C` is neither a lower-case letter, a digit nor `-`; \
                     try `cart-events`",
                ),
                (
                    "cart_events",
                    "`cart_events` is not kebab-case: `_` is neither a lower-case letter, a digit nor `-`; \
                     try `cart-events`",
                ),
                (
                    "cart events",
                    "`cart events` is not kebab-case: it holds a space; try `cart-events`",
                ),
                (
                    "a\nb",
                    "`a\nb` is not kebab-case: `\\n` is neither a lower-case letter, a digit nor `-`; try `a-b`",
                ),
                (
                    "événements",
                    "`événements` is not kebab-case: `é` is neither a lower-case letter, a digit nor `-`",
                ),
                ("2fa", "`2fa` does not start with a letter"),
                ("-a", "`-a` does not start with a letter; try `a`"),
                ("a-", "`a-` does not end with a letter or a digit; try `a`"),
                (
                    "underlay",
                    "`underlay` starts with `underlay`, which is reserved",
                ),
                (
                    "underlay-orders",
                    "`underlay-orders` starts with `underlay`, which is reserved; try `orders`",
                ),
            ],
        );
    }

    #[test]
    fn databases() {
        check(
            check_snake_or_kebab,
            &[
                ("orders", ""),
                ("order_items", ""),
                ("order-items", ""),
                (
                    "a-b_c",
                    "`a-b_c` mixes `-` and `_`; a database's name has one of them; try `a-b-c`",
                ),
                (
                    "postgres",
                    "`postgres` is a database that every PostgreSQL server has already",
                ),
                (
                    "Order_Items",
                    "`Order_Items` is not kebab-case or snake_case: `O` is neither a lower-case letter, a digit, \
                     `-` nor `_`; try `order_items`",
                ),
                (
                    "orders_",
                    "`orders_` does not end with a letter or a digit; try `orders`",
                ),
                (
                    "underlay_orders",
                    "`underlay_orders` starts with `underlay`, which is reserved; try `orders`",
                ),
            ],
        );
    }

    #[test]
    fn secrets() {
        check(
            check_identifier,
            &[
                ("StripeSecretKey", ""),
                ("STRIPE_KEY", ""),
                ("k", ""),
                ("UnderlayingAsset", ""),
                ("_key", "`_key` does not start with a letter; try `key`"),
                (
                    "stripe-key",
                    "`stripe-key` is not an identifier: `-` is neither a letter, a digit nor `_`; try `stripe_key`",
                ),
                ("1key", "`1key` does not start with a letter"),
                (
                    "UNDERLAY_INFRA",
                    "`UNDERLAY_INFRA` starts with `underlay`, which is reserved; try `infra`",
                ),
            ],
        );
    }

    #[test]
    fn identifiers_become_kebab_case() {
        for (ident, expected) in [
            ("ORDERS", "orders"),
            ("CART_EVENTS", "cart-events"),
            ("S3_BUCKET", "s3-bucket"),
            ("A1B2", "a1b2"),
            ("send_confirmation", "send-confirmation"),
            ("HttpServer", "http-server"),
            ("HTTPServer", "http-server"),
            ("S3Bucket", "s3-bucket"),
            ("sendMail", "send-mail"),
            ("r#type", "type"),
            ("_PRIVATE__NAME_", "private-name"),
            ("__", ""),
            ("ÉTÉ", "été"),
        ] {
            assert_eq!(from_ident(ident), expected, "{ident}");
        }
    }
}
