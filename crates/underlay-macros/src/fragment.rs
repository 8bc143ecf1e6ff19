//! A declaration's JSON, with holes for what only the compiler knows after expansion.
//!
//! A hole is a text in the declaration that no user writes; when the JSON is cut at the holes, expressions of type
//! `&'static str` come in their places, and `underlay_model::fragment` joins all of it while compiling.

use proc_macro2::TokenStream;
use quote::quote;
use underlay_model::Declaration;

/// Characters of a private use area; not escaped in JSON, and taken out of what users write.
const OPEN: char = '\u{F0000}';
const CLOSE: char = '\u{F0001}';
/// Between the two, after the number, where a whole list goes.
const LIST: char = '\u{F0002}';

/// The holes of one declaration.
#[derive(Default)]
pub(crate) struct Holes {
    expressions: Vec<TokenStream>,
}

impl Holes {
    /// Stands in a text for an expression whose value needs no escaping.
    pub(crate) fn text(&mut self, expression: TokenStream) -> String {
        self.expressions.push(expression);
        format!("{OPEN}{}{CLOSE}", self.expressions.len() - 1)
    }

    /// Stands for a list whose JSON is the expression's value.
    pub(crate) fn list(&mut self, expression: TokenStream) -> Vec<String> {
        self.expressions.push(expression);
        vec![format!("{OPEN}{}{LIST}{CLOSE}", self.expressions.len() - 1)]
    }

    /// The module that the declaration is in.
    pub(crate) fn module(&mut self) -> String {
        self.text(quote!(::underlay::__private::core::module_path!()))
    }
}

/// A text of the user's, for the declaration.
pub(crate) fn plain(text: &str) -> String {
    text.replace([OPEN, CLOSE, LIST], "\u{FFFD}")
}

/// The parts that make the declaration's JSON.
pub(crate) fn parts(declaration: &Declaration, holes: &Holes) -> Vec<TokenStream> {
    let json = serde_json::to_string(declaration)
        .expect("a declaration holds only texts, numbers and lists");
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = json.as_str();
    while let Some((before, hole)) = rest.split_once(OPEN) {
        let (index, after) = hole.split_once(CLOSE).expect("holes are closed");
        let (index, is_list) = match index.strip_suffix(LIST) {
            Some(index) => (index, true),
            None => (index, false),
        };
        let index: usize = index.parse().expect("holes are numbered");
        let expression = &holes.expressions[index];
        // A list is written with its brackets, so those around the hole are dropped.
        let (before, after) = match is_list {
            true => (
                before.strip_suffix("[\"").unwrap_or(before),
                after.strip_prefix("\"]").unwrap_or(after),
            ),
            false => (before, after),
        };
        literal.push_str(before);
        parts.push(quote!(#literal));
        parts.push(expression.clone());
        literal.clear();
        rest = after;
    }
    literal.push_str(rest);
    parts.push(quote!(#literal));
    parts
}

#[cfg(test)]
mod tests {
    use underlay_model::Source;
    use underlay_model::model::{Reference, ResourceKind};

    use super::*;

    fn check(permissions: impl FnOnce(&mut Holes) -> Vec<String>, expected: &[&str]) {
        let mut holes = Holes::default();
        let declaration = Declaration::Reference(Reference {
            name: plain("a\u{F0000}0\u{F0001}"),
            kind: ResourceKind::Topic,
            resource: holes.text(quote!(RESOURCE)),
            permissions: permissions(&mut holes),
            service: String::new(),
            doc: String::new(),
            source: Source::default(),
        });
        let parts: Vec<String> = parts(&declaration, &holes)
            .iter()
            .map(ToString::to_string)
            .collect();
        let start = format!(
            r#""{{\"declaration\":\"reference\",\"name\":\"a{0}0{0}\",\"kind\":\"topic\",\"resource\":\"""#,
            '\u{FFFD}'
        );
        let end = r#"\"source\":{\"package\":\"\",\"module\":\"\",\"file\":\"\",\"line\":0,\"column\":0}}""#;
        assert_eq!(parts[..2], [start.as_str(), "RESOURCE"]);
        assert_eq!(parts[2..parts.len() - 1], *expected);
        assert!(parts[parts.len() - 1].ends_with(end), "{parts:?}");
    }

    #[test]
    fn texts_stay_in_their_quotes_and_lists_bring_their_brackets() {
        check(
            |holes| vec![holes.text(quote!(ONE))],
            &[r#""\",\"permissions\":[\"""#, "ONE"],
        );
        check(
            |holes| vec![holes.text(quote!(ONE)), "Two".to_owned()],
            &[r#""\",\"permissions\":[\"""#, "ONE"],
        );
        check(
            |holes| holes.list(quote!(ALL)),
            &[r#""\",\"permissions\":""#, "ALL"],
        );
    }
}
