//! Rust text as the rules need it: without comments and literals, and with the parts that are tests known.
//!
//! This is not a parser. It knows comments, literals and matching braces, and nothing of the grammar.

use std::ops::Range;

/// The text with every comment, string and character literal blanked; length and lines stay as they are.
pub(super) fn without_comments_and_literals(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => line_end(bytes, at),
            b'/' if bytes[at..].starts_with(b"/*") => block_comment_end(bytes, at),
            b'"' => string_end(bytes, at + 1),
            b'r' | b'b' | b'c' if !follows_word(bytes, at) => {
                raw_string_end(bytes, at).unwrap_or(at)
            }
            b'\'' => char_end(text, at).unwrap_or(at),
            _ => at,
        };
        for byte in &mut code[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8(code).expect("only whole characters are blanked")
}

/// The parts of blanked code that are only compiled for tests: each `#[cfg(test)]` with the item after it.
pub(super) fn test_parts(code: &str) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut from = 0;
    while let Some(found) = code[from..].find("#[cfg(") {
        let start = from + found;
        let attribute_end = closing(code, start + 1).unwrap_or(code.len());
        from = attribute_end;
        if !words(&code[start..attribute_end]).any(|(_, word)| word == "test") {
            continue;
        }
        let Some(body) = code[attribute_end..]
            .find(['{', ';'])
            .map(|body| attribute_end + body)
        else {
            break;
        };
        let end = if code.as_bytes()[body] == b'{' {
            closing(code, body).unwrap_or(code.len())
        } else {
            body + 1
        };
        parts.push(start..end);
        from = end;
    }
    parts
}

/// The offset after the bracket that closes the one at `open`.
pub(super) fn closing(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (offset, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(offset + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The identifiers and numbers of blanked code, with their offsets.
pub(super) fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + code[from..].find(is_word)?;
        let end = code[start..]
            .find(|c| !is_word(c))
            .map_or(code.len(), |length| start + length);
        from = end;
        Some((start, &code[start..end]))
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn follows_word(bytes: &[u8], at: usize) -> bool {
    at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_')
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..]
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(bytes.len(), |length| at + length)
}

fn block_comment_end(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0usize;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

/// The end of a string whose first character is at `at`.
fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The end of the string with a prefix (`r"`, `br#"`, `b"`, `c"`) at `at`, if there is one.
fn raw_string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let prefix = bytes[at..]
        .iter()
        .take_while(|byte| matches!(byte, b'r' | b'b' | b'c'))
        .count();
    let hashes = bytes[at + prefix..]
        .iter()
        .take_while(|byte| **byte == b'#')
        .count();
    let open = at + prefix + hashes;
    if prefix > 2 || bytes.get(open) != Some(&b'"') {
        return None;
    }
    if bytes[at + prefix - 1] != b'r' {
        return (hashes == 0).then(|| string_end(bytes, open + 1));
    }
    let mut close = vec![b'"'];
    close.resize(hashes + 1, b'#');
    let length = bytes[open + 1..]
        .windows(close.len())
        .position(|window| window == close);
    Some(length.map_or(bytes.len(), |length| open + 1 + length + close.len()))
}

/// The end of the character literal at `at`, or nothing if it is a lifetime.
fn char_end(text: &str, at: usize) -> Option<usize> {
    let mut rest = text[at + 1..].char_indices();
    let (_, first) = rest.next()?;
    if first == '\\' {
        // The escaped character may itself be a quote.
        rest.next()?;
        return rest
            .find(|(_, c)| *c == '\'')
            .map(|(offset, _)| at + 1 + offset + 1);
    }
    let (offset, second) = rest.next()?;
    (second == '\'').then_some(at + 1 + offset + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked() {
        for (text, expected) in [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"a "b \" c" d"#, "a          d"),
            (r##"a r#"b " c"# d"##, "a            d"),
            (r#"a b"x" br"y" d"#, "a            d"),
            ("for<'a> 'x' '\\'' '\"' b", "for<'a>              b"),
            ("'ü' b", "     b"),
            ("r#fn bar", "r#fn bar"),
        ] {
            assert_eq!(without_comments_and_literals(text), expected, "{text}");
        }
    }

    #[test]
    fn test_parts_are_found() {
        let code = "fn a() {} #[cfg(test)] mod tests { fn b() {} } fn c() {} #[cfg(all(test, x))] use y; #[cfg(unix)] z";
        let parts: Vec<&str> = test_parts(code)
            .into_iter()
            .map(|part| &code[part])
            .collect();
        assert_eq!(
            parts,
            [
                "#[cfg(test)] mod tests { fn b() {} }",
                "#[cfg(all(test, x))] use y;"
            ]
        );
    }
}
