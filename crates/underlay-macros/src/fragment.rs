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
        vec![self.text(expression)]
    }

    /// The module that the declaration is in.
    pub(crate) fn module(&mut self) -> String {
        self.text(quote!(::core::module_path!()))
    }
}

/// A text of the user's, for the declaration.
pub(crate) fn plain(text: &str) -> String {
    text.replace([OPEN, CLOSE], "\u{FFFD}")
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
        let index: usize = index.parse().expect("holes are numbered");
        let expression = &holes.expressions[index];
        let is_list = before.ends_with("[\"") && after.starts_with("\"]");
        literal.push_str(if is_list {
            &before[..before.len() - 2]
        } else {
            before
        });
        parts.push(quote!(#literal));
        parts.push(expression.clone());
        literal.clear();
        rest = if is_list { &after[2..] } else { after };
    }
    literal.push_str(rest);
    parts.push(quote!(#literal));
    parts
}
