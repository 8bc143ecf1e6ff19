//! Object names as file names that every file system takes, and back.
//!
//! Knows nothing of files.

use sha2::{Digest as _, Sha256};

/// The longest stem. With version and ending it stays below the 255 bytes that file systems allow.
const MAX_STEM: usize = 180;
/// How much of a longer name stays readable.
const READABLE: usize = 120;

/// The stem of the files of an object.
///
/// Lower-case letters, digits, `.`, `_` and `-` stand for themselves; every other byte is `%` and two lower-case
/// digits, so that names that differ only in case do not meet where the file system ignores it. A stem that would be
/// too long ends with `~` and a hash instead of the rest of the name.
pub(super) fn stem(name: &str) -> String {
    let mut stem = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' => stem.push(char::from(byte)),
            _ => {
                stem.push('%');
                stem.push_str(&hex::encode([byte]));
            }
        }
    }
    if stem.len() > MAX_STEM {
        stem.truncate(READABLE);
        stem.push('~');
        stem.push_str(&hex::encode(&Sha256::digest(name)[..16]));
    }
    stem
}

/// The name that a stem stands for; `None` where the stem has a hash, or is not one of ours.
pub(super) fn name(stem: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(stem.len());
    let mut rest = stem.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'~' => return None,
            b'%' => {
                bytes.extend(hex::decode(rest.get(..2)?).ok()?);
                rest = rest.get(2..)?;
            }
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_survive_the_way_to_a_file_name_and_back() {
        let mut stems = HashSet::new();
        for original in [
            "a",
            "A",
            "a/b",
            "a%2fb",
            "..",
            ".",
            "/",
            "//",
            "/etc/passwd",
            "ü",
            "con",
            "a b",
            "a~b",
            "a@b",
            "a\\b",
            "x:y",
            "\n",
            "😀",
        ] {
            let stem = stem(original);
            assert!(stem.bytes().all(|byte| b"%._-".contains(&byte)
                || byte.is_ascii_digit()
                || byte.is_ascii_lowercase()));
            assert_eq!(name(&stem).as_deref(), Some(original));
            assert!(stems.insert(stem), "{original}");
        }
    }

    #[test]
    fn long_names_stay_short_and_distinct() {
        let long = |last: char| format!("{}{last}", "é/".repeat(300));
        let (one, two) = (stem(&long('1')), stem(&long('2')));
        assert_ne!(one, two);
        assert!(one.len() <= MAX_STEM && name(&one).is_none());
        assert_eq!(
            name(&stem(&"a".repeat(MAX_STEM))),
            Some("a".repeat(MAX_STEM))
        );
        assert_eq!(name(&stem(&"a".repeat(MAX_STEM + 1))), None);
    }

    #[test]
    fn foreign_files_are_not_names() {
        for stem in ["%", "%2", "%zz", "%ff"] {
            assert_eq!(name(stem), None, "{stem}");
        }
    }
}
