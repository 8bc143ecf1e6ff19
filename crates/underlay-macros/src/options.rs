//! What stands between an attribute's parentheses: `TARGET, "name", key = value, flag`.
//!
//! The list is cut at its commas first, so one mistake hides no other. This file knows the shape of options, not what
//! any of them means; attributes ask for each option by its key, with the type that they expect.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::Parser;
use syn::{LitBool, LitInt, LitStr, Path};
use underlay_model::nearest::did_you_mean;

use crate::errors::Errors;
use crate::type_text::type_text;

/// What an attribute's options may be.
pub(crate) struct Grammar {
    /// The attribute's name.
    pub(crate) attribute: &'static str,
    /// What the path is that stands first, such as ``the topic's static``; empty if there is none.
    pub(crate) target: &'static str,
    /// An example of such a path.
    pub(crate) example: &'static str,
    /// Whether a name may stand as a string literal before the keys.
    pub(crate) name: bool,
    /// The keys and flags.
    pub(crate) keys: &'static [&'static str],
}

/// The options of one attribute.
pub(crate) struct Options {
    grammar: &'static Grammar,
    /// The path that stands first.
    pub(crate) target: Option<Path>,
    /// The name.
    pub(crate) name: Option<LitStr>,
    /// Whether some option is unknown, and told to be.
    pub(crate) has_unknown: bool,
    entries: Vec<Entry>,
}

struct Entry {
    key: Ident,
    /// The tokens after `=`; `None` for a flag.
    value: Option<TokenStream>,
}

impl Options {
    /// Reads the options.
    pub(crate) fn parse(
        grammar: &'static Grammar,
        tokens: TokenStream,
        errors: &mut Errors,
    ) -> Self {
        let mut options = Self {
            grammar,
            target: None,
            name: None,
            has_unknown: false,
            entries: Vec::new(),
        };
        let mut wants_target = !grammar.target.is_empty();
        let first = tokens
            .clone()
            .into_iter()
            .next()
            .map_or_else(Span::call_site, |it| it.span());
        for (index, tokens) in split_at_commas(tokens).into_iter().enumerate() {
            if tokens.is_empty() {
                continue;
            }
            let is_target = wants_target && !is_text(&tokens) && !is_key_value(&tokens);
            if is_target && index == 0 {
                wants_target = false;
                options.read_target(&tokens, errors);
            } else if wants_target && index == 0 && is_text(&tokens) && !grammar.name {
                wants_target = false;
                errors.push_span(
                    first,
                    format!("{} is named without quotes, by its path", grammar.target),
                );
            } else {
                options.read_option(tokens, errors);
            }
        }
        if wants_target {
            let Grammar {
                attribute,
                target,
                example,
                ..
            } = grammar;
            errors.push_span(
                first,
                format!("{target} comes first: `#[{attribute}({example}, …)]`"),
            );
        }
        options
    }

    fn read_target(&mut self, tokens: &[TokenTree], errors: &mut Errors) {
        let tokens: TokenStream = tokens.iter().cloned().collect();
        match syn::Path::parse_mod_style.parse2(tokens.clone()) {
            Ok(path) => self.target = Some(path),
            Err(_) => errors.push(
                &tokens,
                format!(
                    "expected {} such as `{}`, found `{}`",
                    self.grammar.target,
                    self.grammar.example,
                    type_text(&tokens)
                ),
            ),
        }
    }

    fn read_option(&mut self, tokens: Vec<TokenTree>, errors: &mut Errors) {
        let all: TokenStream = tokens.iter().cloned().collect();
        match tokens.as_slice() {
            [TokenTree::Literal(_)] => self.read_name(all, errors),
            [TokenTree::Ident(key)] => self.add(key.clone(), None, errors),
            [TokenTree::Ident(key), TokenTree::Punct(punct), value @ ..]
                if punct.as_char() == '=' =>
            {
                if value.is_empty() {
                    errors.push(&all, format!("`{key}` has no value; write `{key} = …`"));
                }
                self.add(key.clone(), Some(value.iter().cloned().collect()), errors);
            }
            [TokenTree::Ident(key), TokenTree::Punct(punct), value @ ..]
                if punct.as_char() == ':'
                    && !value.is_empty()
                    && punct.spacing() == proc_macro2::Spacing::Alone =>
            {
                errors.push(punct, format!("write `{key} = …`"));
                self.add(key.clone(), Some(value.iter().cloned().collect()), errors);
            }
            [TokenTree::Ident(key), TokenTree::Group(_)] => {
                errors.push(&all, format!("write `{key} = …`"));
            }
            _ => errors.push(
                &all,
                format!(
                    "expected an option such as `{}`, found `{}`",
                    self.example(),
                    type_text(&all)
                ),
            ),
        }
    }

    fn example(&self) -> String {
        match self.grammar.keys.first() {
            Some(key) => format!("{key} = …"),
            None => "\"name\"".to_owned(),
        }
    }

    fn read_name(&mut self, literal: TokenStream, errors: &mut Errors) {
        let attribute = self.grammar.attribute;
        match syn::parse2::<LitStr>(literal.clone()) {
            Ok(_) if !self.grammar.name => {
                errors.push(&literal, format!("`#[{attribute}(…)]` takes no name"));
            }
            Ok(text) if self.name.is_some() => {
                errors.push(text, "a second name; one declaration has one name")
            }
            Ok(text) if !self.entries.is_empty() => {
                errors.push(&text, "the name stands before the options");
                self.name = Some(text);
            }
            Ok(text) => self.name = Some(text),
            Err(_) => errors.push(
                &literal,
                format!("the name is a string literal, found `{literal}`"),
            ),
        }
    }

    fn add(&mut self, key: Ident, value: Option<TokenStream>, errors: &mut Errors) {
        let Grammar {
            attribute,
            keys,
            name,
            ..
        } = self.grammar;
        let text = key.to_string();
        if !keys.contains(&text.as_str()) {
            let nearest = did_you_mean(&text, keys.iter().copied());
            let is_first = self.entries.is_empty() && self.name.is_none();
            let message = if nearest.is_empty() && value.is_none() && *name && is_first {
                format!(
                    "the name is a string literal: `\"{}\"`",
                    underlay_model::name::from_ident(&text)
                )
            } else if nearest.is_empty() {
                match keys {
                    [] => format!("unknown option `{text}`; `#[{attribute}]` has none"),
                    keys => format!(
                        "unknown option `{text}`; `#[{attribute}]` has `{}`",
                        keys.join("`, `")
                    ),
                }
            } else {
                format!("unknown option `{text}`{nearest}")
            };
            errors.push(&key, message);
            self.has_unknown = true;
        } else if self.entries.iter().any(|it| it.key == text) {
            errors.push(&key, format!("the option `{text}` is given twice"));
        } else {
            self.entries.push(Entry { key, value });
        }
    }

    /// The key of an option that was given.
    pub(crate) fn key(&self, key: &str) -> Option<&Ident> {
        self.entries.iter().map(|it| &it.key).find(|it| *it == key)
    }

    /// The tokens of an option's value, if the option is given. A flag in its place is an error.
    pub(crate) fn value(
        &self,
        key: &str,
        expected: &str,
        errors: &mut Errors,
    ) -> Option<TokenStream> {
        let entry = self.entries.iter().find(|it| it.key == key)?;
        match &entry.value {
            Some(value) if value.is_empty() => None,
            Some(value) => Some(value.clone()),
            None => {
                errors.push(&entry.key, format!("`{key}` needs a value: {expected}"));
                None
            }
        }
    }

    fn parsed<T: syn::parse::Parse>(
        &self,
        key: &str,
        expected: &str,
        errors: &mut Errors,
    ) -> Option<T> {
        let value = self.value(key, expected, errors)?;
        match syn::parse2(value.clone()) {
            Ok(parsed) => Some(parsed),
            Err(_) => {
                errors.push(
                    &value,
                    format!("`{key}` is {expected}, found `{}`", type_text(&value)),
                );
                None
            }
        }
    }

    /// A text, such as `migrations = "migrations"`.
    pub(crate) fn text(&self, key: &str, example: &str, errors: &mut Errors) -> Option<LitStr> {
        self.parsed(
            key,
            &format!("a string literal such as `\"{example}\"`"),
            errors,
        )
    }

    /// An identifier without quotes, such as `ordered_by = cart_id`.
    pub(crate) fn ident(&self, key: &str, example: &str, errors: &mut Errors) -> Option<Ident> {
        let value = self.value(
            key,
            &format!("a name without quotes such as `{example}`"),
            errors,
        )?;
        if let Ok(text) = syn::parse2::<LitStr>(value.clone()) {
            errors.push(
                &text,
                format!(
                    "`{key}` is written without quotes: `{key} = {}`",
                    text.value()
                ),
            );
            return None;
        }
        match syn::Ident::parse_any_ident.parse2(value.clone()) {
            Ok(ident) => Some(ident),
            Err(_) => {
                errors.push(
                    &value,
                    format!(
                        "`{key}` is a name without quotes such as `{example}`, found `{}`",
                        type_text(&value)
                    ),
                );
                None
            }
        }
    }

    /// The path of a static, such as `idempotent_in = ORDERS`.
    pub(crate) fn path(
        &self,
        key: &str,
        what: &str,
        example: &str,
        errors: &mut Errors,
    ) -> Option<Path> {
        let expected = format!("the path of {what}, without quotes, such as `{example}`");
        let value = self.value(key, &expected, errors)?;
        let path = Path::parse_mod_style.parse2(value.clone());
        if path.is_err() {
            errors.push(
                &value,
                format!("`{key}` is {expected}, found `{}`", type_text(&value)),
            );
        }
        path.ok()
    }

    /// A whole number.
    pub(crate) fn number(&self, key: &str, example: &str, errors: &mut Errors) -> Option<u32> {
        let expected = format!("a whole number such as `{example}`");
        let number: LitInt = self.parsed(key, &expected, errors)?;
        number
            .base10_parse()
            .map_err(|_| {
                errors.push(
                    &number,
                    format!(
                        "`{key}` is {expected}, at most {}, found `{number}`",
                        u32::MAX
                    ),
                )
            })
            .ok()
    }

    /// A flag: `public`, `public = true` or `public = false`; false if it is not given.
    pub(crate) fn flag(&self, key: &str, errors: &mut Errors) -> bool {
        match self.entries.iter().find(|it| it.key == key) {
            None => false,
            Some(Entry { value: None, .. }) => true,
            Some(Entry { value: Some(_), .. }) => self
                .parsed::<LitBool>(key, "`true` or `false`", errors)
                .is_some_and(|it| it.value),
        }
    }

    /// A text that is one of a few.
    pub(crate) fn one_of<T: Clone>(
        &self,
        key: &str,
        values: &[(&'static str, T)],
        errors: &mut Errors,
    ) -> Option<T> {
        let text = self.text(key, values.first()?.0, errors)?;
        if let Some((_, value)) = values.iter().find(|(name, _)| *name == text.value()) {
            return Some(value.clone());
        }
        let names = || values.iter().map(|(name, _)| *name);
        let nearest = did_you_mean(&text.value(), names());
        let message = match nearest.is_empty() {
            false => format!("unknown `{key}` `{}`{nearest}", text.value()),
            true => {
                let names: Vec<_> = names().collect();
                format!(
                    "unknown `{key}` `{}`; there are `{}`",
                    text.value(),
                    names.join("`, `")
                )
            }
        };
        errors.push(text, message);
        None
    }

    /// The name, or the one that the item's own name gives, if it passes `check`.
    pub(crate) fn checked_name(
        &self,
        ident: &Ident,
        from_ident: String,
        check: fn(&str) -> Result<(), String>,
        errors: &mut Errors,
    ) -> String {
        let (name, at) = match &self.name {
            Some(name) => (name.value(), name.to_token_stream()),
            None => (from_ident, quote!(#ident)),
        };
        if let Err(problem) = check(&name) {
            let attribute = self.grammar.attribute;
            let problem = match problem.starts_with("the name") {
                true => problem,
                false => format!("the name {problem}"),
            };
            errors.push(
                at,
                match self.name {
                    Some(_) => problem,
                    None => format!("{problem}; or give one: `#[{attribute}(\"…\")]`"),
                },
            );
        }
        name
    }
}

trait ParseAnyIdent {
    fn parse_any_ident(input: syn::parse::ParseStream<'_>) -> syn::Result<Ident>;
}

impl ParseAnyIdent for syn::Ident {
    fn parse_any_ident(input: syn::parse::ParseStream<'_>) -> syn::Result<Ident> {
        input.call(syn::ext::IdentExt::parse_any)
    }
}

fn is_text(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [TokenTree::Literal(_)])
}

fn is_key_value(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [TokenTree::Ident(_), TokenTree::Punct(punct), ..] if punct.as_char() == '=')
}

fn split_at_commas(tokens: TokenStream) -> Vec<Vec<TokenTree>> {
    let mut parts = vec![Vec::new()];
    for token in tokens {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == ',' => parts.push(Vec::new()),
            token => {
                if let Some(part) = parts.last_mut() {
                    part.push(token);
                }
            }
        }
    }
    parts
}

/// An option that is a duration of at least `least`.
pub(crate) fn duration(
    options: &Options,
    key: &str,
    example: &str,
    least: std::time::Duration,
    errors: &mut Errors,
) -> Option<std::time::Duration> {
    let text = options.text(key, example, errors)?;
    match underlay_model::duration::parse(&text.value()) {
        Ok(duration) if duration < least => {
            let least = underlay_model::duration::format(least);
            errors.push(
                &text,
                format!("`{key}` is at least `{least}`, found `{}`", text.value()),
            );
            None
        }
        Ok(duration) => Some(duration),
        Err(problem) => {
            errors.push(&text, problem);
            None
        }
    }
}
