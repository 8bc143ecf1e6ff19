//! Fragments: the JSON of each declaration as constant bytes in a link section of the binary.
//!
//! A fragment is [`MAGIC`], the length of the JSON as four little-endian bytes, and the JSON of one
//! [`Declaration`](crate::model::Declaration). Linkers may pad between fragments and reorder them, so a reader looks
//! for the magic and trusts the length. Writing happens while compiling, hence the `const fn`s.
//! This file does not know object file formats: `cargo-underlay` finds the section, [`parse_section`] reads it.

#[allow(unused_imports)]
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
