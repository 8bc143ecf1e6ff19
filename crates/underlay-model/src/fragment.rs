//! Fragments: the JSON of each declaration as constant bytes in a link section of the binary.
//!
//! A fragment is [`MAGIC`], the length of the JSON as four little-endian bytes, and the JSON of one
//! [`Declaration`]. Linkers may pad between fragments and reorder them, so a reader looks
//! for the magic and trusts the length. Writing happens while compiling, hence the `const fn`s.
//! This file does not know object file formats: `cargo-underlay` finds the section, [`parse_section`] reads it.

use crate::model::Declaration;

/// The link section's name in ELF and PE images; PE cuts names to eight characters.
pub const SECTION: &str = ".undrlay";
/// The link section's name in Mach-O images, in the segment `__DATA`.
pub const SECTION_MACH_O: &str = "__underlay";
/// What every fragment starts with. The last byte is the version of the framing.
pub const MAGIC: [u8; 8] = *b"UNDRLAY\x01";
/// The bytes before a fragment's JSON.
pub const HEADER: usize = MAGIC.len() + 4;

/// The size of the fragment whose JSON is the concatenation of `parts`.
pub const fn fragment_len(parts: &[&str]) -> usize {
    let mut len = HEADER;
    let mut i = 0;
    while i < parts.len() {
        len += parts[i].len();
        i += 1;
    }
    len
}

/// The fragment whose JSON is the concatenation of `parts`; `N` is [`fragment_len`] of them.
///
/// # Panics
///
/// If `N` is not [`fragment_len`] of `parts`, or the JSON is longer than 4 GiB; while compiling, since the macros
/// call it only in constants.
pub const fn fragment<const N: usize>(parts: &[&str]) -> [u8; N] {
    assert!(N == fragment_len(parts) && N - HEADER <= u32::MAX as usize);
    let mut bytes = [0; N];
    let (magic, rest) = bytes.split_at_mut(MAGIC.len());
    magic.copy_from_slice(&MAGIC);
    let (len, mut rest) = rest.split_at_mut(4);
    len.copy_from_slice(&((N - HEADER) as u32).to_le_bytes());
    let mut i = 0;
    while i < parts.len() {
        let (part, tail) = rest.split_at_mut(parts[i].len());
        part.copy_from_slice(parts[i].as_bytes());
        rest = tail;
        i += 1;
    }
    bytes
}

/// The fragment of a declaration, as the macros write it while compiling.
///
/// # Panics
///
/// If the declaration's JSON is longer than 4 GiB.
pub fn encode(declaration: &Declaration) -> Vec<u8> {
    let json = serde_json::to_vec(declaration).expect("a declaration has text keys only");
    let len = u32::try_from(json.len()).expect("a declaration is shorter than 4 GiB");
    let mut bytes = Vec::with_capacity(HEADER + json.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(&json);
    bytes
}

/// The declarations whose fragments lie in a link section, in the section's order.
///
/// Whatever lies between fragments is skipped: padding, and what a linker or another program left there.
///
/// # Errors
///
/// One sentence with its offset for each fragment that is cut off, that cannot be decoded, or whose framing is of
/// another version; all of them, since a model that lacks a declaration is wrong.
pub fn parse_section(section: &[u8]) -> Result<Vec<Declaration>, Vec<String>> {
    let (name, version) = MAGIC.split_at(MAGIC.len() - 1);
    let mut declarations = Vec::new();
    let mut problems = Vec::new();
    let mut at = 0;
    while let Some(found) = find(&section[at..], name) {
        let start = at + found;
        // No fragment's JSON holds the magic, whose last byte JSON escapes: after a bad fragment, the next good one is
        // found even if the bad one's length is wrong.
        at = start + name.len();
        let rest = &section[at..];
        match rest.first() {
            Some(byte) if version == [*byte] => {}
            // Text follows: somebody's string, not a fragment.
            Some(byte) if *byte == 0 || *byte >= b' ' => continue,
            Some(byte) => {
                problems.push(format!(
                    "the fragment at offset {start} has the version {byte}, but this version of Underlay reads {}",
                    version[0]
                ));
                continue;
            }
            None => continue,
        }
        let rest = &rest[1..];
        let Some((len, rest)) = rest.split_first_chunk::<4>() else {
            problems.push(format!(
                "the fragment at offset {start} is cut off in its header"
            ));
            continue;
        };
        let len = u32::from_le_bytes(*len) as usize;
        let Some(json) = rest.get(..len) else {
            problems.push(format!(
                "the fragment at offset {start} is cut off: it has {len} bytes, of which {} are there",
                rest.len()
            ));
            continue;
        };
        match serde_json::from_slice(json) {
            Ok(declaration) => {
                declarations.push(declaration);
                at = start + HEADER + len;
            }
            Err(error) => {
                problems.push(format!(
                    "the fragment at offset {start} cannot be decoded: {error}"
                ));
            }
        }
    }
    if problems.is_empty() {
        Ok(declarations)
    } else {
        Err(problems)
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|it| it == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Application, Bucket, Secret, Source};

    fn declarations() -> Vec<Declaration> {
        let source = Source {
            file: "src/a.rs".to_owned(),
            line: 3,
            column: 1,
            ..Source::default()
        };
        vec![
            Declaration::Application(Application {
                name: "shop".to_owned(),
                version: "0.1.0".to_owned(),
            }),
            Declaration::Bucket(Bucket {
                name: "uploads".to_owned(),
                public: true,
                versioned: false,
                service: String::new(),
                doc: "Says UNDRLAY\u{1} and UNDRLAY, \"quoted\".".to_owned(),
                source: source.clone(),
            }),
            Declaration::Secret(Secret {
                name: "Key".to_owned(),
                service: String::new(),
                doc: String::new(),
                source,
            }),
        ]
    }

    /// A section of all declarations, each with `before` in front of it, and `before` at the end.
    fn section(before: &[u8]) -> Vec<u8> {
        let mut section = Vec::new();
        for declaration in declarations() {
            section.extend_from_slice(before);
            section.extend(encode(&declaration));
        }
        section.extend_from_slice(before);
        section
    }

    #[test]
    fn what_is_written_at_compile_time_is_what_encode_writes() {
        const PARTS: [&str; 3] = [
            r#"{"declaration":"application","name":""#,
            "shop",
            r#"","version":"0.1.0"}"#,
        ];
        const FRAGMENT: [u8; fragment_len(&PARTS)] = fragment(&PARTS);
        assert_eq!(FRAGMENT.to_vec(), encode(&declarations()[0]));
    }

    #[test]
    fn reads_whatever_lies_between() {
        for before in [
            &b""[..],
            &[0; 7],
            &[0xff; 64],
            b"UNDRLAY",
            b"UNDRLAY is a string",
            b"UNDRLAY\0",
            b"{\"declaration\":1}",
            b"UNDRLA",
        ] {
            assert_eq!(
                parse_section(&section(before)),
                Ok(declarations()),
                "{before:?}"
            );
        }
        assert_eq!(parse_section(b""), Ok(Vec::new()));
    }

    #[test]
    fn reports_all_that_it_cannot_read() {
        let good = encode(&declarations()[0]);
        let mut wrong_length = good.clone();
        wrong_length[8] += 1;
        let mut too_long = good.clone();
        too_long[11] = 0xff;
        let mut newer = good.clone();
        newer[7] = 2;
        let bytes = [&wrong_length[..], &too_long, &good, &newer, &good[..10]].concat();
        let n = good.len();
        let left = bytes.len() - n - HEADER;
        assert_eq!(
            parse_section(&bytes).unwrap_err(),
            [
                "the fragment at offset 0 cannot be decoded: trailing characters at line 1 column 62".to_owned(),
                format!(
                    "the fragment at offset {n} is cut off: it has {} bytes, of which {left} are there",
                    0xff00_0000_usize + n - HEADER
                ),
                format!(
                    "the fragment at offset {} has the version 2, but this version of Underlay reads 1",
                    3 * n
                ),
                format!("the fragment at offset {} is cut off in its header", 4 * n),
            ]
        );
    }

    #[test]
    fn every_cut_is_reported() {
        let whole = section(b"");
        let ends: Vec<usize> = declarations()
            .iter()
            .scan(0, |end, it| {
                *end += encode(it).len();
                Some(*end)
            })
            .collect();
        for cut in 0..whole.len() {
            let inside_magic = ends
                .iter()
                .chain([&0])
                .any(|end| (*end..end + MAGIC.len()).contains(&cut));
            let result = parse_section(&whole[..cut]);
            assert_eq!(result.is_ok(), inside_magic, "{cut}: {result:?}");
        }
    }
}
